// LLaMA 2 and 3 (arXiv 2302.13971, 2307.09288, 2407.21783): the plain gated decoder. Two fields give biases to linears
// that are trained without: what quantization uses to compensate.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import type { Architecture } from '../model.js';
import { readBiases, readGatedDecoder } from '../read-gated-decoder.js';

export const llama: Architecture = {
  modelType: 'llama',
  relatives: ['baichuan', 'internlm2', 'yi'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readGatedDecoder(reader, 'llama');
    return gatedDecoder({ ...decoder, ...readBiases(reader, { mlp: true }) }, tensors);
  },
};
