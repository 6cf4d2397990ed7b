// The decoder that most architectures since 2023 are variants of: RMS norms or layer norms, rotary grouped-query attention
// and a gated MLP, each before a residual addition. A variant is a literal of its sizes, scales and norms, from config.json by
// read-gated-decoder.ts; what a block computes of them is in gated-block.ts.

import type { Activation } from '../device/index.js';
import type { AttentionShape } from './attention-shape.js';
import { fusedExpertParts, pairedExpertParts } from './expert-parts.js';
import type { Experts } from './experts.js';
import { gatedBlock, scaled } from './gated-block.js';
import { gatedShapes, mixtureOf } from './gated-shape.js';
import type { LatentShape } from './latent-attention.js';
import type { LinearAttention } from './linear-attention.js';
import type { LinearBias } from './linear-bias.js';
import type { Config, LanguageModel } from './model.js';
import {
  type DecoderNorm,
  decoderNorm,
  decoderNormTensors,
  normSlot,
  vectorShapes,
} from './norms.js';
import type { Rotary } from './rotary.js';

export interface GatedDecoder {
  readonly modelType: string;
  readonly blocks: number;
  readonly vocabularySize: number;
  readonly maxPositions: number;
  readonly mlpSize: number;
  readonly activation: Activation;
  readonly tiedHead: boolean;

  readonly shape: AttentionShape;
  /** Of each block, where not all have the same. */
  readonly attentionShapes?: readonly AttentionShape[];
  /** Where query, key and value are made of latents; `shape` then has the heads of queries and keys. */
  readonly latent?: LatentShape;
  /** What some blocks have instead of scores. */
  readonly linearAttention?: LinearAttention;
  /** Whether the query's linear also gives, head by head, what attention's result is gated by (arXiv 2505.06708). */
  readonly gatedAttention?: true;
  readonly rotary: Rotary;
  /** Of each block, where not all turn alike; undefined for one that does not turn. */
  readonly rotaries?: readonly (Rotary | undefined)[];
  /** Whether each head has one more score, of no key, that takes its share of a softmax's sum. */
  readonly sinks?: true;
  /** What query·key is multiplied by. */
  readonly scale: number;
  /** Tokens that each block's attention sees; 0 for all. */
  readonly windows: readonly number[];
  /** Caps of attention scores and of logits; 0 for none. */
  readonly attentionCap: number;
  readonly logitCap: number;
  readonly embeddingScale: number;
  /** What the outputs of attention and MLP are multiplied by before they are added, and the logits at the end. */
  readonly residualScale: number;
  readonly logitScale: number;

  readonly norm: DecoderNorm;
  /** Whether the MLP reads what attention reads, and both are added at once. */
  readonly parallel: boolean;
  /** Names of the norms before attention and MLP and of those on their outputs, where there are any. */
  readonly norms: {
    readonly attention?: string;
    readonly attentionOutput?: string;
    readonly mlp?: string;
    readonly mlpOutput?: string;
  };
  /** What of query and key has a norm: each head, or all heads together. */
  readonly queryKeyNorms: 'none' | 'heads' | 'whole';
  /** Whether each head's value has a norm too, without weights. */
  readonly valueNorms?: true;
  /** Blocks that have no linear for values: they are what keys are before norms and positions. */
  readonly keysAsValues?: readonly boolean[];
  /** Name of a tensor of one number that what each block gives is multiplied by. */
  readonly blockScale?: string;
  /** Whether query, key and value are one linear. */
  readonly fusedProjections: boolean;
  /** Whether gate and up are one linear. */
  readonly fusedMlp: boolean;
  /** What the MLP is where it is not one gate, up and down; see experts.ts. */
  readonly mixture?: Experts | undefined;

  readonly biases: {
    readonly projections: LinearBias;
    readonly output: LinearBias;
    readonly mlp: LinearBias;
  };
  readonly biasFields?: Config;
}

/** Where a checkpoint may have its tensors. */
export interface Place {
  /** What names of embedding, blocks and last norm begin with. */
  readonly root: string;
  readonly head: string;
}

const head = 'lm_head.weight';
// Checkpoints saved from the bare decoder lack the leading 'model.'.
const usualPlaces: readonly [Place, Place] = [
  { root: 'model.', head },
  { root: '', head },
];

/** The first of `places` that has an embedding, or else the first, is where it is. */
export function gatedDecoder(
  decoder: GatedDecoder,
  tensors: ReadonlySet<string>,
  places: readonly [Place, ...Place[]] = usualPlaces,
): LanguageModel {
  const { shape, mixture } = decoder;
  const isPlace = ({ root }: Place) => tensors.has(`${root}embed_tokens.weight`);
  const { root, head } = places.find(isPlace) ?? places[0];
  const embedding = `${root}embed_tokens.weight`;
  const finalNorm = `${root}norm`;
  const projection = decoder.tiedHead ? embedding : head;
  const shapes = gatedShapes(decoder);
  const finalNorms = decoderNormTensors(decoder.norm, finalNorm);
  const headTensors = [projection, ...finalNorms];
  const finalStates: LanguageModel['finalStates'] = (x, weights, { device }) =>
    decoderNorm(device, x, weights, finalNorm, shape.hiddenSize, decoder.norm);
  const blockName = (index: number) => `${root}layers.${index}`;
  const parts = partsOf(decoder, blockName, tensors);
  return {
    ...decoder,
    ...shapes,
    decoder,
    ...(parts.length > 0 && { parts }),
    ...((mixture?.paired || mixture?.joined) && { joinsParts: mixture.count }),
    embedTensors: [embedding],
    headTensors,
    outerShapes: {
      [embedding]: [decoder.vocabularySize, shape.hiddenSize],
      [projection]: [decoder.vocabularySize, shape.hiddenSize],
      ...vectorShapes(shape.hiddenSize, ...finalNorms),
    },
    slots: { ...shapes.slots, model: normSlot(headTensors, finalNorm) },
    blockName,
    embed(ids, weights, { device }) {
      const x = device.embedding(ids, weights.get(embedding));
      return scaled(x, decoder.embeddingScale);
    },
    block: gatedBlock(decoder),
    finalStates,
    head(x, weights, context) {
      const { device } = context;
      const h = finalStates(x, weights, context);
      const logits = scaled(device.matmul(h, weights.get(projection)), decoder.logitScale);
      return decoder.logitCap === 0 ? logits : device.softcap(logits, decoder.logitCap);
    },
  };
}

/** Of blocks whose experts the checkpoint holds as one tensor. */
function partsOf(
  decoder: GatedDecoder,
  blockName: (index: number) => string,
  tensors: ReadonlySet<string>,
) {
  return Array.from({ length: decoder.blocks }, (_, index) => {
    const experts = mixtureOf(decoder, index);
    if (experts === undefined) return [];
    const { hiddenSize } = decoder.shape;
    if (experts.paired) {
      return pairedExpertParts(blockName(index), experts, experts.paired, hiddenSize);
    }
    const parts = fusedExpertParts(blockName(index), experts, hiddenSize);
    return parts.filter(({ source }) => tensors.has(source));
  }).flat();
}
