// Swin (arXiv 2103.14030): stages of pre-norm blocks whose attention is within windows, every other block's shifted by
// half a window, and between stages a merging of patches, which is a block of its own here. Widths, heads and tokens
// differ from stage to stage. Logits are those of the tokens' mean.

import type { Activation } from '../../device/index.js';
import { BallastError } from '../../errors.js';
import { activations } from '../activations.js';
import { ConfigReader } from '../config-reader.js';
import { unfold } from '../image-patches.js';
import type { Architecture, BlockModel, BlockShape, VisionModel } from '../model.js';
import { layerNorm, normSlot, normTensors, vectorShapes } from '../norms.js';
import { mergePatches, mergingGradient, mergingShape } from '../patch-merging.js';
import { pooledHead, pooledHeadGradient, pooledStates } from '../pooled-head.js';
import { readLabels } from '../read-labels.js';
import { type VisionBlock, visionBlock } from '../vision-block.js';
import { blockGradient } from '../vision-block-gradient.js';
import { visionNorms as norms, visionLinears, visionNames } from '../vision-linears.js';
import { windowsOf } from '../windows.js';

interface Swin extends Pick<VisionModel, 'image' | 'classes' | 'labels'> {
  readonly patch: number;
  readonly width: number;
  readonly depths: readonly number[];
  readonly heads: readonly number[];
  readonly window: number;
  readonly mlpRatio: number;
  readonly qkvBias: boolean;
  readonly activation: Activation;
  readonly eps: number;
  /** Whether positions are added to the patches too. */
  readonly positions: boolean;
}

const names = visionNames('attention.self');
const table = 'attention.self.relative_position_bias_table';
const embeddings = 'swin.embeddings';
const projection = `${embeddings}.patch_embeddings.projection`;
/** Full names. */
export const swinNames = {
  embeddings,
  projection,
  norm: 'swin.layernorm',
  classifier: 'classifier',
} as const;
/** Of the patches' norm: torch's own, for which config.json has no field. */
const patchEps = 1e-5;

function readSwin(reader: ConfigReader): Swin {
  const size = reader.count('image_size', 224);
  const swin = {
    image: { channels: reader.count('num_channels', 3), height: size, width: size },
    ...readLabels(reader),
    patch: reader.count('patch_size', 4),
    width: reader.count('embed_dim', 96),
    depths: reader.depths('depths', [2, 2, 6, 2]),
    heads: reader.counts('num_heads', [3, 6, 12, 24]),
    window: reader.count('window_size', 7),
    mlpRatio: reader.positive('mlp_ratio', 4),
    qkvBias: reader.boolean('qkv_bias', true),
    activation: reader.choice('hidden_act', activations, 'gelu'),
    eps: reader.positive('layer_norm_eps', 1e-5),
    positions: reader.boolean('use_absolute_embeddings', false),
  };
  expectStages(swin);
  return swin;
}

/** Ten times as many as any model has. */
const mostPatches = 2048;

/** Stages that would have to be padded are refused: nobody trains them. */
function expectStages({ image, patch, window, width, heads, depths }: Swin): void {
  if (heads.length !== depths.length) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected as many num_heads as depths in config.json but received ${heads.length} and ${depths.length}.`,
    );
  }
  // What windows take from where is listed before the checkpoint is looked at.
  if (image.width / patch > mostPatches) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected at most ${mostPatches} patches a side but image_size ${image.width} and patch_size ${patch} in config.json ` +
        'give more.',
    );
  }
  for (const stage of depths.keys()) {
    const side = image.width / patch / 2 ** stage;
    const last = stage === depths.length - 1;
    if (!Number.isInteger(side) || side % window !== 0 || (!last && side % 2 !== 0)) {
      throw new BallastError(
        'ERR_UNSUPPORTED',
        `Expected image_size and patch_size in config.json to give every stage whole windows of window_size ${window}, ` +
          `and an even side before patches are merged, but stage ${stage} has ${side} tokens a side.`,
      );
    }
    if ((width * 2 ** stage) % (heads[stage] ?? 1) !== 0) {
      throw new BallastError(
        'ERR_CHECKPOINT',
        `Expected num_heads to divide the channels of each stage in config.json but stage ${stage} has ` +
          `${heads[stage]} and ${width * 2 ** stage}.`,
      );
    }
  }
}

/** A block of attention, or of merging where it has no `block`. */
interface Part {
  readonly name: string;
  readonly shape: BlockShape;
  /** Tokens along a side of its input. */
  readonly side: number;
  readonly block?: VisionBlock;
}

function partsOf(swin: Swin): Part[] {
  return swin.depths.flatMap((depth, stage) => {
    const side = swin.image.width / swin.patch / 2 ** stage;
    const width = swin.width * 2 ** stage;
    const layer = `swin.encoder.layers.${stage}`;
    const parts: Part[] = Array.from({ length: depth }, (_, i) => ({
      name: `${layer}.blocks.${i}`,
      shape: attentionShape(swin, side, width),
      side,
      block: attentionBlock(swin, stage, side, width, i % 2 === 1),
    }));
    if (stage === swin.depths.length - 1) return parts;
    return [...parts, { name: `${layer}.downsample`, shape: mergingShape(side, width), side }];
  });
}

function attentionBlock(
  { heads, window, activation, eps }: Swin,
  stage: number,
  side: number,
  width: number,
  shifted: boolean,
): VisionBlock {
  const own = heads[stage] ?? 1;
  // A grid of one window has nothing to shift.
  const shift = shifted && side > window ? Math.floor(window / 2) : 0;
  return {
    names,
    norms,
    heads: own,
    headSize: width / own,
    activation,
    eps,
    windows: windowsOf({ side, window, shift, heads: own, table }),
  };
}

function attentionShape({ qkvBias, mlpRatio }: Swin, side: number, width: number): BlockShape {
  return {
    hiddenSize: width,
    sequence: side * side,
    ...visionLinears(names, width, Math.floor(mlpRatio * width), qkvBias),
    blockTensors: [...normTensors(...norms), table],
  };
}

function embedOf({ image, patch, width, positions }: Swin): VisionModel['embed'] {
  return (pixels, weights, { device }) => {
    const patches = unfold(device, pixels, image, patch);
    const kernel = device.reshape(weights.get(`${projection}.weight`), [width, patches.cols]);
    const embedded = device.matmul(patches, kernel, { bias: weights.get(`${projection}.bias`) });
    const x = layerNorm(device, embedded, weights, `${embeddings}.norm`, patchEps);
    if (!positions) return x;
    const added = weights.get(`${embeddings}.position_embeddings`);
    const images = device.reshape(x, [x.elements / added.elements, added.elements]);
    return device.reshape(device.add(images, device.reshape(added, [added.elements])), x.shape);
  };
}

/** The model, and what it was made of. */
interface SwinModel extends VisionModel, Swin {
  /** Of the patches' norm. */
  readonly patchEps: number;
  partAt(index: number): Part;
}

export function isSwin(model: BlockModel): model is SwinModel {
  return 'partAt' in model;
}

/** Shapes of the tensors before the first block. */
function embedShapes({ positions, width, patch, image }: Swin, tokens: number) {
  return {
    ...(positions ? { [`${embeddings}.position_embeddings`]: [1, tokens, width] } : {}),
    [`${projection}.weight`]: [width, image.channels, patch, patch],
    [`${projection}.bias`]: [width],
    ...vectorShapes(width, ...normTensors(`${embeddings}.norm`)),
  };
}

function swinModel(swin: Swin): SwinModel {
  const parts = partsOf(swin);
  const shapes = parts.map(({ shape }) => shape);
  const [first, last] = [shapes[0], shapes.at(-1)] as [BlockShape, BlockShape];
  const linears = new Map(
    shapes.flatMap((shape) => shape.linears.map((spec) => [spec.name, spec])),
  );
  const partAt = (index: number) => parts[index] as Part;
  const tokens = last.sequence ?? 0;
  const { norm, classifier } = swinNames;
  const pooling = { norm, classifier, tokens, eps: swin.eps };
  const finalNorm = normTensors(norm);
  const embed = embedShapes(swin, first.sequence ?? 0);
  const head = {
    ...vectorShapes(last.hiddenSize, ...finalNorm),
    [`${classifier}.weight`]: [swin.classes, last.hiddenSize],
    [`${classifier}.bias`]: [swin.classes],
  };
  return {
    ...swin,
    modelType: 'swin',
    patchEps,
    partAt,
    blocks: parts.length,
    shapes,
    hiddenSize: last.hiddenSize,
    sequence: first.sequence ?? 0,
    linears: [...linears.values()],
    blockTensors: [...new Set(shapes.flatMap(({ blockTensors }) => blockTensors))],
    slots: {
      ...(first.slots as Required<BlockShape['slots']>),
      model: normSlot(finalNorm, pooling.norm),
    },
    embedTensors: Object.keys(embed),
    headTensors: Object.keys(head),
    outerShapes: { ...embed, ...head },
    blockName: (index) => partAt(index).name,
    embed: embedOf(swin),
    block: (x, weights, call, context, index) => {
      const { block, side } = partAt(index);
      return block === undefined
        ? mergePatches(side, x, weights, call, context)
        : visionBlock(block, x, weights, call, context);
    },
    finalStates: pooledStates(pooling),
    head: pooledHead(pooling),
    blockGradient: (x, weights, call, weightOf, gradient, context, index) => {
      const { block, side } = partAt(index);
      return block === undefined
        ? mergingGradient(side, x, weights, weightOf, gradient, context)
        : blockGradient(block, x, weights, call, weightOf, gradient, context);
    },
    headGradient: pooledHeadGradient(pooling),
  };
}

export const swin: Architecture<VisionModel> = {
  modelType: 'swin',
  notLoadedBy: ['vllm'],
  relatives: ['swinv2', 'donut-swin', 'maskformer-swin'],
  read: (config) => swinModel(readSwin(new ConfigReader(config))),
};
