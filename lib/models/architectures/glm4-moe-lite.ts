// GLM-4.7-Flash: GLM-4.5's experts (arXiv 2508.06471) with latent attention.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { latentBiasesNotRead } from '../latent-attention.js';
import type { Architecture } from '../model.js';
import { withPredictionLayers } from '../prediction-layers.js';
import { expectBalanced, readBalancedExperts } from '../read-experts.js';
import { readLatentDecoder } from '../read-latent-attention.js';

const kinds = { dense: false, sparse: true };

export const glm4MoeLite: Architecture = {
  modelType: 'glm4_moe_lite',
  biasesNotRead: latentBiasesNotRead,
  read(config, tensors) {
    const reader = new ConfigReader(config);
    expectBalanced(reader);
    const decoder = readLatentDecoder(reader, 'glm4_moe_lite', {
      ...{ queryRank: 768, nopeSize: 192, valueSize: 256, eps: 1e-5 },
    });
    const listed = reader.has('mlp_layer_types');
    // The class reads the list alone, without which the first block is dense.
    if (!listed) reader.only('first_k_dense_replace', 1);
    const experts = readBalancedExperts(reader, decoder, {
      ...{ count: 64, perToken: 4, size: 1536, shared: 1, dense: 1, scale: 1.8, normalized: true },
    });
    const mixture = listed
      ? { ...experts, sparse: reader.choices('mlp_layer_types', kinds, decoder.blocks) }
      : experts;
    return withPredictionLayers(gatedDecoder({ ...decoder, mixture }, tensors), reader, tensors);
  },
};
