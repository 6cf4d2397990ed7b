// Solar Open: the gated decoder with experts that a bias balances in every block, and one that all tokens go through.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readBalancedExperts } from '../read-experts.js';
import { readGatedDecoder, readProjectionBiases } from '../read-gated-decoder.js';

export const solarOpen: Architecture = {
  modelType: 'solar_open',
  biasesNotRead: { 'llama.cpp': behindProjections },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    // transformers has neither, whatever config.json says.
    reader.only('first_k_dense_replace', 0);
    reader.only('use_qk_norm', false);
    const decoder = readGatedDecoder(reader, 'solar_open', {
      headSize: 128,
      eps: 1e-5,
      mlpSize: reader.count('moe_intermediate_size', 1280),
      rotary: { base: 1_000_000, share: { field: 'partial_rotary_factor', fallback: 1 } },
    });
    const mixture = readBalancedExperts(reader, decoder, {
      ...{ count: 128, perToken: 8, size: 1280, shared: 1, dense: 0, normalized: true },
    });
    return gatedDecoder(
      {
        ...decoder,
        ...readProjectionBiases(reader, 'attention_bias'),
        mixture,
      },
      tensors,
    );
  },
};
