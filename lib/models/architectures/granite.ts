// Granite 3: LLaMA with fixed factors on embeddings, scores, residual additions and logits, after arXiv 2203.03466.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import type { Architecture } from '../model.js';
import { readBiases, readGatedDecoder } from '../read-gated-decoder.js';

export const granite: Architecture = {
  modelType: 'granite',
  relatives: ['granitemoe', 'granitemoehybrid', 'granitemoeshared'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    return gatedDecoder(
      {
        ...readGatedDecoder(reader, 'granite'),
        ...readBiases(reader, { mlp: true }),
        scale: reader.positive('attention_multiplier', 1),
        embeddingScale: reader.positive('embedding_multiplier', 1),
        residualScale: reader.positive('residual_multiplier', 1),
        logitScale: 1 / reader.positive('logits_scaling', 1),
      },
      tensors,
    );
  },
};
