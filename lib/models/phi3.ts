// Phi-3, Phi-3.5 and Phi-4 (arXiv 2404.14219, 2412.08905, 2503.01743), the language models: the gated decoder with fused
// projections, no biases, rotary positions on a part of each head where a field says so, and LongRoPE for long contexts.

import { ConfigReader } from './config-reader.js';
import { gatedDecoder, readGatedDecoder } from './gated-decoder.js';
import type { Architecture } from './model.js';
import { readRotary } from './rotary.js';

export const phi3: Architecture = {
  modelType: 'phi3',
  relatives: ['phi3_v', 'phi3small', 'phi4_multimodal', 'phi4mm', 'phimoe'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    // Written by some, and not read by transformers: with such biases it would compute something else.
    for (const field of ['attention_bias', 'mlp_bias', 'lm_head_bias']) reader.only(field, false);
    const decoder = readGatedDecoder(reader, 'phi3', {
      eps: 1e-5,
      readRotary: (_, sizes) =>
        readRotary(reader, {
          ...sizes,
          share: { field: 'partial_rotary_factor', fallback: 1 },
          types: ['default', 'longrope', 'su'],
          context: 4096,
        }),
    });
    const window = reader.positiveOrNone('sliding_window');
    const windows = decoder.windows.map(() => window);
    return gatedDecoder({ ...decoder, fused: true, windows }, tensors);
  },
};
