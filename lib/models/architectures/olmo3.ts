// OLMo 3 (arXiv 2512.13961): OLMo 2 with a sliding window in three of four blocks; what stretches rotary positions is for
// the fourth alone.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readGlobalRotary, readSlidingBlocks } from '../sliding-blocks.js';
import { readOlmoDecoder } from './olmo2.js';

const base = 500_000;

export const olmo3: Architecture = {
  modelType: 'olmo3',
  biasesNotRead: { 'llama.cpp': behindProjections },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    // Version 5 of transformers takes another for blocks that see all tokens alone, version 4 for all.
    reader.only('rope_theta', base);
    const decoder = readOlmoDecoder(reader, 'olmo3', {
      readRotary: (sizes) => readGlobalRotary(reader, { ...sizes, base }),
    });
    const sliding = readSlidingBlocks(reader, decoder, { pattern: 4, base });
    return gatedDecoder({ ...decoder, ...sliding }, tensors);
  },
};
