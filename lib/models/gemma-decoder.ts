// What Gemma 2 and Gemma 3 share (arXiv 2408.00118, 2503.19786): the gated decoder with norms on the outputs too, weights
// of norms stored less one, scaled embeddings, and biases in attention by a field.

import { activations } from './activations.js';
import type { ConfigReader } from './config-reader.js';
import { type GatedDecoder, type GatedDefaults, readGatedDecoder } from './gated-decoder.js';
import { biasByConfig } from './linear-bias.js';

export function readGemmaDecoder(
  reader: ConfigReader,
  modelType: string,
  readRotary?: GatedDefaults['readRotary'],
): GatedDecoder {
  reader.only('use_bidirectional_attention', false);
  const decoder = readGatedDecoder(reader, modelType, {
    headSize: 256,
    tiedHead: true,
    ...(readRotary && { readRotary }),
  });
  const attention = biasByConfig(reader, 'attention_bias');
  return {
    ...decoder,
    activation: reader.choice('hidden_activation', activations, 'gelu_pytorch_tanh'),
    scale: reader.positive('query_pre_attn_scalar', 256) ** -0.5,
    embeddingScale: decoder.shape.hiddenSize ** 0.5,
    norm: { ...decoder.norm, offset: 1 },
    norms: {
      attention: 'input_layernorm',
      attentionOutput: 'post_attention_layernorm',
      mlp: 'pre_feedforward_layernorm',
      mlpOutput: 'post_feedforward_layernorm',
    },
    biases: { ...decoder.biases, projections: attention, output: attention },
    biasFields: { attention_bias: true },
  };
}
