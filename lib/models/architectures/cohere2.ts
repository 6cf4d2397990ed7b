// Command R7B and Command A (arXiv 2504.00698): Command R with a sliding window in three of four blocks, and rotary positions in
// these alone.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { attentionLinears, behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readSlidingWindows } from '../sliding-blocks.js';
import { readCohereDecoder } from './cohere.js';

export const cohere2: Architecture = {
  modelType: 'cohere2',
  relatives: ['cohere2_moe', 'cohere2_vision'],
  biasesNotRead: { vllm: attentionLinears, 'llama.cpp': behindProjections },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readCohereDecoder(reader, 'cohere2');
    const pattern = reader.count('sliding_window_pattern', 4);
    const windows = readSlidingWindows(reader, decoder.blocks, pattern);
    const rotaries = windows.map((tokens) => (tokens > 0 ? decoder.rotary : undefined));
    return gatedDecoder({ ...decoder, windows, rotaries }, tensors);
  },
};
