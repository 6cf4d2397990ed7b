// Mistral (arXiv 2310.06825): the gated decoder with one sliding window in every block, and no biases.

import { ConfigReader } from './config-reader.js';
import { gatedDecoder, readGatedDecoder } from './gated-decoder.js';
import type { Architecture } from './model.js';

export const mistral: Architecture = {
  modelType: 'mistral',
  relatives: ['ministral', 'mixtral'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readGatedDecoder(reader, 'mistral');
    const window = reader.positiveOrNull('sliding_window', 4096);
    return gatedDecoder({ ...decoder, windows: decoder.windows.map(() => window) }, tensors);
  },
};
