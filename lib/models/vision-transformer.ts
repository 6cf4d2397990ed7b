// What the vision transformers after ViT (arXiv 2010.11929) share: an image is cut into square patches, each of which
// one linear turns into a token; learned tokens (class, distillation) go before them; pre-norm blocks without a mask.

import type { Activation } from '../device/index.js';
import { BallastError } from '../errors.js';
import { activations } from './activations.js';
import type { ConfigReader } from './config-reader.js';
import { embedOf, finalStatesOf, headGradientOf, headOf } from './learned-tokens.js';
import type { BlockModel, VisionModel } from './model.js';
import { normSlot, normTensors, vectorShapes } from './norms.js';
import { readLabels } from './read-labels.js';
import { type VisionBlock, visionBlock } from './vision-block.js';
import { blockGradient } from './vision-block-gradient.js';
import { visionNorms as norms, visionLinears, visionNames } from './vision-linears.js';

const names = visionNames('attention.attention');

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
    blocks: reader.depth('num_hidden_layers'),
    hiddenSize: reader.count('hidden_size'),
    patch,
    heads: reader.count('num_attention_heads'),
    mlpSize: reader.count('intermediate_size'),
    qkvBias: reader.boolean('qkv_bias', true),
    activation: reader.choice('hidden_act', activations, 'gelu'),
    eps: reader.positive('layer_norm_eps', 1e-12),
  };
}

/** The model, and what it was made of. */
interface VisionTransformerModel extends VisionModel, VisionTransformer {
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
  const { linears, slots } = visionLinears(names, hiddenSize, mlpSize, qkvBias);
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
      ...slots,
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
