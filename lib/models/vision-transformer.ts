// What the vision transformers after ViT (arXiv 2010.11929) share: an image is cut into square patches, each of which
// one linear turns into a token; learned tokens (class, distillation) go before them; pre-norm blocks without a mask.
// Patches are a gather of pixel columns and a matmul. Everything that joins tokens is exact: products with 0 and 1.

import type { Activation, Device, Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import { activations } from './activations.js';
import type { ConfigReader } from './config-reader.js';
import { linearSlot } from './linear-bias.js';
import type { BlockContext, BlockModel, ImageShape, LinearSpec, VisionModel } from './model.js';
import { layerNorm, normSlot, normTensors, vectorShapes } from './norms.js';
import { type VisionBlock, visionBlock } from './vision-block.js';
import { blockGradient } from './vision-block-gradient.js';
import type { Weights } from './weights.js';

export interface VisionTransformer
  extends Pick<
    VisionModel,
    'modelType' | 'image' | 'classes' | 'labels' | 'blocks' | 'hiddenSize'
  > {
  readonly patch: number;
  readonly heads: number;
  readonly mlpSize: number;
  readonly qkvBias: boolean;
  readonly activation: Activation;
  readonly eps: number;
  /** What full names begin with, such as 'vit'. */
  readonly root: string;
  /** Learned tokens before the patches, by their names under `<root>.embeddings`. */
  readonly tokens: readonly string[];
  /** A linear on a token of the final norm's output; logits are the mean over classifiers. */
  readonly classifiers: readonly { readonly token: number; readonly name: string }[];
}

/** The fields that all of them have. */
export function readVisionTransformer(
  reader: ConfigReader,
): Omit<VisionTransformer, 'modelType' | 'root' | 'tokens' | 'classifiers'> {
  const size = reader.count('image_size', 224);
  const patch = reader.count('patch_size', 16);
  reader.divides('num_attention_heads', 'hidden_size');
  if (size % patch !== 0) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected patch_size to divide image_size in config.json but received ${patch} and ${size}.`,
    );
  }
  const { labels, classes } = readLabels(reader);
  return {
    image: { channels: reader.count('num_channels', 3), height: size, width: size },
    classes,
    labels,
    blocks: reader.count('num_hidden_layers'),
    hiddenSize: reader.count('hidden_size'),
    patch,
    heads: reader.count('num_attention_heads'),
    mlpSize: reader.count('intermediate_size'),
    qkvBias: reader.boolean('qkv_bias', true),
    activation: reader.choice('hidden_act', activations, 'gelu'),
    eps: reader.positive('layer_norm_eps', 1e-12),
  };
}

/** Absent labels are two, as in transformers. */
export function readLabels(reader: ConfigReader): Pick<VisionModel, 'labels' | 'classes'> {
  const names = reader.object('id2label');
  if (names === undefined) return { labels: new Map(), classes: reader.count('num_labels', 2) };
  const labels = new Map<string, number>();
  let classes = 0;
  while (names.has(`${classes}`)) labels.set(names.string(`${classes}`), classes++);
  if (classes === 0) throw reader.unsupported('id2label', 'names of the classes 0, 1, 2 …');
  return { labels, classes };
}

const names = {
  query: 'attention.attention.query',
  key: 'attention.attention.key',
  value: 'attention.attention.value',
  output: 'attention.output.dense',
  first: 'intermediate.dense',
  last: 'output.dense',
} as const;
const norms = ['layernorm_before', 'layernorm_after'] as const;

/** The columns of an image's row of pixels [channels, height, width], patch after patch. */
export function patchColumns({ channels, height, width }: ImageShape, patch: number): Int32Array {
  const columns = new Int32Array(channels * height * width);
  let at = 0;
  for (let top = 0; top < height; top += patch) {
    for (let left = 0; left < width; left += patch) {
      for (let channel = 0; channel < channels; channel++) {
        for (let y = top; y < top + patch; y++) {
          for (let x = left; x < left + patch; x++) {
            columns[at++] = (channel * height + y) * width + x;
          }
        }
      }
    }
  }
  return columns;
}

/** pixels [images, channels·height·width] → patches [images·patches, channels·patch²]. */
export function unfold(device: Device, pixels: Tensor, image: ImageShape, patch: number): Tensor {
  const size = image.channels * image.height * image.width;
  const rows = device.reshape(pixels, [pixels.elements / size, size]);
  const columns = device.upload('int32', [size], patchColumns(image, patch));
  const width = image.channels * patch * patch;
  const patches = device.selectColumns(rows, columns);
  return device.reshape(patches, [pixels.elements / width, width]);
}

/** [sequence, width] that is `row` [width] in some rows and 0 in the others, added to `residual`. */
function addToRows(
  device: Device,
  sequence: number,
  chosen: (row: number) => boolean,
  row: Tensor,
  residual?: Tensor,
): Tensor {
  const flags = Float32Array.from({ length: sequence }, (_, i) => (chosen(i) ? 1 : 0));
  const column = device.upload('float32', [sequence, 1], flags);
  const matrix = device.reshape(row, [1, row.elements]);
  return device.matmul(column, matrix, { layout: 'in_out', residual });
}

function embedOf(vision: VisionTransformer, sequence: number): VisionModel['embed'] {
  const { hiddenSize, image, patch, tokens, root } = vision;
  const embeddings = `${root}.embeddings`;
  const first = tokens.length;
  return (pixels: Tensor, weights: Weights, { device }: BlockContext) => {
    const patches = unfold(device, pixels, image, patch);
    const projection = weights.get(`${embeddings}.patch_embeddings.projection.weight`);
    const kernel = device.reshape(projection, [hiddenSize, patches.cols]);
    const embedded = device.matmul(patches, kernel);
    // 1. Make room for the learned tokens before each image's patches.
    const perImage = sequence - first;
    const index = Int32Array.from({ length: (patches.rows / perImage) * sequence }, (_, row) => {
      const token = row % sequence;
      return Math.floor(row / sequence) * perImage + Math.max(0, token - first);
    });
    const width = sequence * hiddenSize;
    const spread = device.selectRows(embedded, device.upload('int32', [index.length], index));
    const rows = device.reshape(spread, [index.length / sequence, width]);
    const ones = device.upload('float32', [hiddenSize], new Float32Array(hiddenSize).fill(1));
    const isPatch = (token: number) => token >= first;
    const mask = addToRows(device, sequence, isPatch, ones);
    // 2. What is added to every image: positions, the patches' bias, the learned tokens.
    const positions = weights.get(`${embeddings}.position_embeddings`);
    const bias = weights.get(`${embeddings}.patch_embeddings.projection.bias`);
    let constant = device.reshape(positions, [sequence, hiddenSize]);
    constant = addToRows(device, sequence, isPatch, bias, constant);
    for (const [i, name] of tokens.entries()) {
      const token = weights.get(`${embeddings}.${name}`);
      constant = addToRows(device, sequence, (row) => row === i, token, constant);
    }
    const masked = device.multiply(rows, device.reshape(mask, [width]));
    const x = device.add(masked, device.reshape(constant, [width]));
    return device.reshape(x, [index.length, hiddenSize]);
  };
}

/** The tokens that classifiers read, all images' for the first classifier, then all for the next. */
function finalStatesOf(vision: VisionTransformer, sequence: number): VisionModel['finalStates'] {
  const { root, eps, classifiers } = vision;
  return (x, weights, { device }) => {
    const images = x.rows / sequence;
    const rows = Int32Array.from(
      classifiers.flatMap(({ token }) =>
        Array.from({ length: images }, (_, i) => i * sequence + token),
      ),
    );
    const chosen = device.selectRows(x, device.upload('int32', [rows.length], rows));
    return layerNorm(device, chosen, weights, `${root}.layernorm`, eps);
  };
}

function headOf(vision: VisionTransformer, sequence: number): VisionModel['head'] {
  const { classifiers } = vision;
  const finalStates = finalStatesOf(vision, sequence);
  return (x: Tensor, weights: Weights, context: BlockContext) => {
    const { device } = context;
    const images = x.rows / sequence;
    const states = finalStates(x, weights, context);
    const sum = classifiers
      .map(({ name }, i) =>
        device.matmul(
          device.sliceRows(states, i * images, (i + 1) * images),
          weights.get(`${name}.weight`),
          { bias: weights.get(`${name}.bias`) },
        ),
      )
      .reduce((a, b) => device.add(a, b));
    return classifiers.length === 1 ? sum : device.scale(sum, 1 / classifiers.length);
  };
}

/** Through the classifiers and the final norm to the tokens that they read; 0 at all others. */
function headGradientOf(vision: VisionTransformer, sequence: number): VisionModel['headGradient'] {
  const { root, eps, classifiers, hiddenSize } = vision;
  return (x, weights, gradient, { device }) => {
    const images = x.rows / sequence;
    const norm = weights.get(`${root}.layernorm.weight`);
    const width = sequence * hiddenSize;
    const ones = device.upload('float32', [hiddenSize], new Float32Array(hiddenSize).fill(1));
    const parts = classifiers.map(({ name, token }) => {
      const rows = Int32Array.from({ length: images }, (_, i) => i * sequence + token);
      const chosen = device.selectRows(x, device.upload('int32', [images], rows));
      const share = device.scale(gradient, 1 / classifiers.length);
      const outer = device.matmul(share, weights.get(`${name}.weight`), { layout: 'in_out' });
      const onChosen = device.layerNormGradient(chosen, norm, outer, eps);
      const spread = Int32Array.from({ length: x.rows }, (_, row) => Math.floor(row / sequence));
      const all = device.selectRows(onChosen, device.upload('int32', [x.rows], spread));
      const mask = addToRows(device, sequence, (row) => row === token, ones);
      const masked = device.multiply(
        device.reshape(all, [images, width]),
        device.reshape(mask, [width]),
      );
      return device.reshape(masked, [x.rows, hiddenSize]);
    });
    return parts.reduce((sum, part) => device.add(sum, part));
  };
}

/** The model, and what it was made of. */
export interface VisionTransformerModel extends VisionModel, VisionTransformer {
  readonly visionBlock: VisionBlock;
}

export function isVisionTransformer(model: BlockModel): model is VisionTransformerModel {
  return 'classifiers' in model;
}

/** Shapes of the tensors outside blocks. */
function outerShapesOf(vision: VisionTransformer, sequence: number) {
  const { root, tokens, image, patch, hiddenSize, classes, classifiers } = vision;
  const embeddings = `${root}.embeddings`;
  const projection = `${embeddings}.patch_embeddings.projection`;
  const embed = {
    ...Object.fromEntries(tokens.map((token) => [`${embeddings}.${token}`, [1, 1, hiddenSize]])),
    [`${embeddings}.position_embeddings`]: [1, sequence, hiddenSize],
    [`${projection}.weight`]: [hiddenSize, image.channels, patch, patch],
    [`${projection}.bias`]: [hiddenSize],
  };
  const head = {
    ...vectorShapes(hiddenSize, ...normTensors(`${root}.layernorm`)),
    ...Object.fromEntries(
      classifiers.flatMap(({ name }) => [
        [`${name}.weight`, [classes, hiddenSize]],
        [`${name}.bias`, [classes]],
      ]),
    ),
  };
  return { embed, head };
}

export function visionTransformer(vision: VisionTransformer): VisionTransformerModel {
  const { root, tokens, image, patch, hiddenSize, mlpSize, qkvBias, heads } = vision;
  const sequence = tokens.length + (image.height / patch) * (image.width / patch);
  const linear = (name: string, inChannels: number, outChannels: number, bias = true) =>
    ({ name, inChannels, outChannels, bias }) satisfies LinearSpec;
  const linears = [
    linear(names.query, hiddenSize, hiddenSize, qkvBias),
    linear(names.key, hiddenSize, hiddenSize, qkvBias),
    linear(names.value, hiddenSize, hiddenSize, qkvBias),
    linear(names.output, hiddenSize, hiddenSize),
    linear(names.first, hiddenSize, mlpSize),
    linear(names.last, mlpSize, hiddenSize),
  ];
  const block = { ...vision, names, norms, headSize: hiddenSize / heads };
  const finalNorm = normTensors(`${root}.layernorm`);
  const { embed, head } = outerShapesOf(vision, sequence);
  return {
    ...vision,
    visionBlock: block,
    sequence,
    linears,
    blockTensors: normTensors(...norms),
    embedTensors: Object.keys(embed),
    headTensors: Object.keys(head),
    outerShapes: { ...embed, ...head },
    slots: {
      attention: linearSlot(linears, names.output),
      mlp: linearSlot(linears, names.last),
      block: linearSlot(linears, names.last),
      model: normSlot(finalNorm, `${root}.layernorm`),
    },
    blockName: (index) => `${root}.encoder.layer.${index}`,
    embed: embedOf(vision, sequence),
    block: (x, weights, call, context) => visionBlock(block, x, weights, call, context),
    finalStates: finalStatesOf(vision, sequence),
    head: headOf(vision, sequence),
    blockGradient: (x, weights, call, weightOf, gradient, context) =>
      blockGradient(block, x, weights, call, weightOf, gradient, context),
    headGradient: headGradientOf(vision, sequence),
  };
}
