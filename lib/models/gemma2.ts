// Gemma 2 (arXiv 2408.00118): the gated decoder with norms on the outputs too, weights of norms stored less one, scaled
// embeddings, soft-capped scores and logits, and a sliding window in every other block.

import { activations } from './activations.js';
import { readWindows } from './attention-shape.js';
import { ConfigReader } from './config-reader.js';
import { gatedDecoder, readGatedDecoder } from './gated-decoder.js';
import { biasByConfig } from './linear-bias.js';
import type { Architecture } from './model.js';

export const gemma2: Architecture = {
  modelType: 'gemma2',
  relatives: ['gemma', 'gemma3', 'gemma3_text', 'recurrent_gemma'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    reader.only('use_bidirectional_attention', false);
    const decoder = readGatedDecoder(reader, 'gemma2', { headSize: 256, tiedHead: true });
    const attention = biasByConfig(reader, 'attention_bias');
    const window = reader.positiveOrNull('sliding_window', 4096);
    return gatedDecoder(
      {
        ...decoder,
        activation: reader.choice('hidden_activation', activations, 'gelu_pytorch_tanh'),
        scale: reader.positive('query_pre_attn_scalar', 256) ** -0.5,
        windows: readWindows(reader, decoder.blocks, window, (index) => index % 2 === 0),
        attentionCap: reader.positiveOrNull('attn_logit_softcapping', 50),
        logitCap: reader.positiveOrNull('final_logit_softcapping', 30),
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
      },
      tensors,
    );
  },
};
