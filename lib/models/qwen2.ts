// Qwen2 and Qwen2.5 (arXiv 2407.10671): the gated decoder with biases in query, key and value, and in nothing else.

import { ConfigReader } from './config-reader.js';
import { gatedDecoder, readGatedDecoder } from './gated-decoder.js';
import { withBias } from './linear-bias.js';
import type { Architecture } from './model.js';
import { readQwenWindows } from './qwen-windows.js';

export const qwen2: Architecture = {
  modelType: 'qwen2',
  relatives: ['qwen'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readGatedDecoder(reader, 'qwen2');
    const biases = { ...decoder.biases, projections: withBias };
    const windows = readQwenWindows(reader, decoder.blocks);
    return gatedDecoder({ ...decoder, biases, windows }, tensors);
  },
};
