// Helium 1 (Kyutai): LLaMA with rotary positions on neighbouring channels; fields give biases to query, key and value, and to the MLP.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { withoutBias } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readBiases, readGatedDecoder } from '../read-gated-decoder.js';

export const helium: Architecture = {
  modelType: 'helium',
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readGatedDecoder(reader, 'helium', {
      headSize: 128,
      eps: 1e-8,
      rotary: { interleaved: true },
    });
    const { biases, ...fields } = readBiases(reader, { mlp: true });
    return gatedDecoder(
      { ...decoder, ...fields, biases: { ...biases, output: withoutBias } },
      tensors,
    );
  },
};
