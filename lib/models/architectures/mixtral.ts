// Mixtral (arXiv 2401.04088): Mistral with experts in every block, and no biases.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import type { Architecture } from '../model.js';
import { readExperts } from '../read-experts.js';
import { readGatedDecoder } from '../read-gated-decoder.js';

export const mixtral: Architecture = {
  modelType: 'mixtral',
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readGatedDecoder(reader, 'mixtral', {
      eps: 1e-5,
      rotary: { base: 1_000_000 },
    });
    const window = reader.positiveOrNone('sliding_window');
    const fields = {
      count: [reader.alias('num_local_experts', 'num_experts'), 8],
      perToken: ['num_experts_per_tok', 2],
    } as const;
    const mixture = readExperts(reader, decoder, fields, {
      size: decoder.mlpSize,
      router: { weight: 'block_sparse_moe.gate.weight' },
      scoring: 'softmax',
      normalized: true,
      names: { list: 'block_sparse_moe.experts', gate: 'w1', up: 'w3', down: 'w2' },
    });
    const windows = decoder.windows.map(() => window);
    return gatedDecoder({ ...decoder, windows, mixture }, tensors);
  },
};
