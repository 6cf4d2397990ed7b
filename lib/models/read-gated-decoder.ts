// The fields of config.json that gated decoders have in common, in LLaMA's words, with the defaults of its class: what an
// architecture's own file starts from.

import { activations } from './activations.js';
import { type AttentionShape, readAttentionShape } from './attention-shape.js';
import type { ConfigReader } from './config-reader.js';
import type { GatedDecoder } from './gated-decoder.js';
import { biasByConfig, withoutBias } from './linear-bias.js';
import { type RotaryFields, type RotarySizes, readRotary } from './read-rotary.js';
import type { Rotary } from './rotary.js';

/** Where an architecture's configuration departs from LLaMA's. */
export interface GatedDefaults {
  readonly headSize?: number;
  readonly tiedHead?: boolean;
  readonly eps?: number;
  /** Of the plain MLP, where config.json need not have one. */
  readonly mlpSize?: number;
  /** Instead of what `head_dim` and its like say. */
  readonly shape?: AttentionShape;
  readonly rotary?: Omit<RotaryFields, keyof RotarySizes>;
  /** Instead, where what config.json says of rotary positions is read otherwise. */
  readonly readRotary?: (sizes: RotarySizes) => Rotary;
}

/** The plain variant: no biases, no windows, no caps. */
export function readGatedDecoder(
  reader: ConfigReader,
  modelType: string,
  defaults: GatedDefaults = {},
): GatedDecoder {
  const shape = defaults.shape ?? readAttentionShape(reader, defaults.headSize);
  const blocks = reader.depth('num_hidden_layers');
  const maxPositions = reader.count('max_position_embeddings');
  const sizes = { headSize: shape.headSize, maxPositions };
  return {
    modelType,
    blocks,
    vocabularySize: reader.count('vocab_size'),
    maxPositions,
    mlpSize: reader.count('intermediate_size', defaults.mlpSize),
    activation: reader.choice('hidden_act', activations, 'silu'),
    tiedHead: reader.boolean('tie_word_embeddings', defaults.tiedHead ?? false),
    shape,
    rotary: defaults.readRotary?.(sizes) ?? readRotary(reader, { ...sizes, ...defaults.rotary }),
    scale: shape.headSize ** -0.5,
    windows: new Array<number>(blocks).fill(0),
    attentionCap: 0,
    logitCap: 0,
    embeddingScale: 1,
    residualScale: 1,
    logitScale: 1,
    norm: { kind: 'rms', eps: reader.positive('rms_norm_eps', defaults.eps ?? 1e-6), offset: 0 },
    parallel: false,
    norms: { attention: 'input_layernorm', mlp: 'post_attention_layernorm' },
    queryKeyNorms: 'none',
    fusedProjections: false,
    fusedMlp: false,
    biases: { projections: withoutBias, output: withoutBias, mlp: withoutBias },
  };
}

/**
 * Biases where fields say so: `attention_bias`, whose default is `attention`, and `mlp_bias` where the architecture has that
 * too.
 */
export function readBiases(
  reader: ConfigReader,
  { mlp, attention: fallback = false }: { readonly mlp: boolean; readonly attention?: boolean },
): Pick<GatedDecoder, 'biases' | 'biasFields'> {
  const attention = biasByConfig(reader, 'attention_bias', fallback);
  return {
    biases: {
      projections: attention,
      output: attention,
      mlp: mlp ? biasByConfig(reader, 'mlp_bias') : withoutBias,
    },
    biasFields: { attention_bias: true, ...(mlp && { mlp_bias: true }) },
  };
}

/** Of query, key and value alone, where this field says so. */
export function readProjectionBiases(
  reader: ConfigReader,
  field: string,
  fallback = false,
): Pick<GatedDecoder, 'biases' | 'biasFields'> {
  const projections = biasByConfig(reader, field, fallback);
  return {
    biases: { projections, output: withoutBias, mlp: withoutBias },
    biasFields: { [field]: true },
  };
}
