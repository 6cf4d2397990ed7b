// Ministral 3, the language model: Mistral with yarn, and queries that grow with their position beyond the original
// context; biases as in Mistral.

import { ConfigReader } from '../config-reader.js';
import { type GatedDecoder, gatedDecoder } from '../gated-decoder.js';
import { biasesOfVllmAlone } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readBiases, readGatedDecoder } from '../read-gated-decoder.js';

export const ministral3: Architecture = {
  modelType: 'ministral3',
  biasesNotRead: biasesOfVllmAlone,
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readMinistral3Decoder(reader, 'ministral3');
    return gatedDecoder({ ...decoder, ...readBiases(reader, { mlp: true }) }, tensors);
  },
};

export function readMinistral3Decoder(reader: ConfigReader, modelType: string): GatedDecoder {
  // Absent, the class has parameters of its own.
  reader.section('rope_parameters');
  const decoder = readGatedDecoder(reader, modelType, {
    headSize: 128,
    eps: 1e-5,
    rotary: { queryScale: true },
  });
  const window = reader.positiveOrNone('sliding_window');
  return { ...decoder, windows: decoder.windows.map(() => window) };
}
