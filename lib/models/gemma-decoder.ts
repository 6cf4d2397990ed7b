// What the Gemma models share (arXiv 2403.08295, 2408.00118, 2503.19786): weights of norms stored less one, scaled
// embeddings, biases in attention by a field, and norms on the outputs too, which the first of them has not.

import { activations } from './activations.js';
import type { ConfigReader } from './config-reader.js';
import type { GatedDecoder } from './gated-decoder.js';
import { type GatedDefaults, readBiases, readGatedDecoder } from './read-gated-decoder.js';

export function readGemmaDecoder(
  reader: ConfigReader,
  modelType: string,
  {
    readRotary,
    bidirectional = false,
  }: {
    readonly readRotary?: GatedDefaults['readRotary'];
    /** What `use_bidirectional_attention` says where tokens of texts do not see those behind them. */
    readonly bidirectional?: false | 'vision';
  } = {},
): GatedDecoder {
  reader.only('use_bidirectional_attention', bidirectional);
  const decoder = readGatedDecoder(reader, modelType, {
    headSize: 256,
    tiedHead: true,
    ...(readRotary && { readRotary }),
  });
  return {
    ...decoder,
    activation: reader.choice('hidden_activation', activations, 'gelu_pytorch_tanh'),
    scale: reader.positive('query_pre_attn_scalar', 256) ** -0.5,
    embeddingScale: decoder.shape.hiddenSize ** 0.5,
    norm: { kind: 'rms', eps: decoder.norm.eps, offset: 1 },
    norms: {
      attention: 'input_layernorm',
      attentionOutput: 'post_attention_layernorm',
      mlp: 'pre_feedforward_layernorm',
      mlpOutput: 'post_feedforward_layernorm',
    },
    ...readBiases(reader, { mlp: false }),
  };
}
