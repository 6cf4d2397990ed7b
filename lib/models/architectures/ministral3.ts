// Ministral 3, the language model: Mistral with yarn, and queries that grow with their position beyond the original
// context.

import { ConfigReader } from '../config-reader.js';
import { type GatedDecoder, gatedDecoder } from '../gated-decoder.js';
import type { Architecture } from '../model.js';
import { readGatedDecoder } from '../read-gated-decoder.js';

export const ministral3: Architecture = {
  modelType: 'ministral3',
  read: (config, tensors) =>
    gatedDecoder(readMinistral3Decoder(new ConfigReader(config), 'ministral3'), tensors),
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
