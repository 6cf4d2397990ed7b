// GLM-4.5 (arXiv 2508.06471): the gated decoder with experts that a bias balances, after dense blocks, rotary positions on
// half of each head and, where a field says so, a norm on each head's query and key.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { withPredictionLayers } from '../prediction-layers.js';
import { readBalancedExperts } from '../read-experts.js';
import { readGatedDecoder, readProjectionBiases } from '../read-gated-decoder.js';

export const glm4Moe: Architecture = {
  modelType: 'glm4_moe',
  biasesNotRead: { 'llama.cpp': behindProjections },
  relatives: ['glm4v_moe'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readGatedDecoder(reader, 'glm4_moe', {
      eps: 1e-5,
      rotary: { share: { field: 'partial_rotary_factor', fallback: 0.5 } },
    });
    const model = gatedDecoder(
      {
        ...decoder,
        queryKeyNorms: reader.boolean('use_qk_norm', false) ? 'heads' : 'none',
        ...readProjectionBiases(reader, 'attention_bias'),
        mixture: readBalancedExperts(reader, decoder, {
          ...{ count: 128, perToken: 8, shared: 1, dense: 1, normalized: true },
        }),
      },
      tensors,
    );
    return withPredictionLayers(model, reader, tensors);
  },
};
