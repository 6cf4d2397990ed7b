// Granite 3: LLaMA with fixed factors on embeddings, scores, residual additions and logits, after arXiv 2203.03466.

import { ConfigReader } from './config-reader.js';
import { gatedDecoder, readGatedDecoder } from './gated-decoder.js';
import { biasByConfig } from './linear-bias.js';
import type { Architecture } from './model.js';

export const granite: Architecture = {
  modelType: 'granite',
  relatives: ['granitemoe', 'granitemoehybrid', 'granitemoeshared'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const attention = biasByConfig(reader, 'attention_bias');
    const mlp = biasByConfig(reader, 'mlp_bias');
    return gatedDecoder(
      {
        ...readGatedDecoder(reader, 'granite'),
        scale: reader.positive('attention_multiplier', 1),
        embeddingScale: reader.positive('embedding_multiplier', 1),
        residualScale: reader.positive('residual_multiplier', 1),
        logitScale: 1 / reader.positive('logits_scaling', 1),
        biases: { projections: attention, output: attention, mlp },
        biasFields: { attention_bias: true, mlp_bias: true },
      },
      tensors,
    );
  },
};
