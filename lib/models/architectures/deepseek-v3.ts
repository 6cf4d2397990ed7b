// DeepSeek-V3 (arXiv 2412.19437), and Moonlight: latent attention, and experts that a bias balances, chosen from the best
// groups alone.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { latentBiasesNotRead } from '../latent-attention.js';
import type { Architecture } from '../model.js';
import { withPredictionLayers } from '../prediction-layers.js';
import { expectBalanced, readBalancedExperts } from '../read-experts.js';
import { readLatentDecoder } from '../read-latent-attention.js';

export const deepseekV3: Architecture = {
  modelType: 'deepseek_v3',
  relatives: ['deepseek_v32'],
  biasesNotRead: latentBiasesNotRead,
  read(config, tensors) {
    const reader = new ConfigReader(config);
    expectBalanced(reader);
    const decoder = readLatentDecoder(reader, 'deepseek_v3', {
      ...{ queryRank: 1536, nopeSize: 128, valueSize: 128 },
    });
    const mixture = readBalancedExperts(reader, decoder, {
      ...{ count: 256, perToken: 8, size: 2048, shared: 1, dense: 3, scale: 2.5 },
      normalized: true,
      groups: { count: 8, kept: 4 },
    });
    return withPredictionLayers(gatedDecoder({ ...decoder, mixture }, tensors), reader, tensors);
  },
};
