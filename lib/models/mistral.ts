// Mistral (arXiv 2310.06825): the gated decoder with one sliding window in every block, and no biases.

import { ConfigReader } from './config-reader.js';
import { type GatedDecoder, gatedDecoder, readGatedDecoder } from './gated-decoder.js';
import { llamaConfig } from './llama-config.js';
import type { Architecture, Config } from './model.js';

export function readMistralDecoder(reader: ConfigReader, modelType: string): GatedDecoder {
  const decoder = readGatedDecoder(reader, modelType);
  const window = reader.positiveOrNull('sliding_window', 4096);
  return { ...decoder, windows: decoder.windows.map(() => window) };
}

const readDecoder = (config: Config) => readMistralDecoder(new ConfigReader(config), 'mistral');

export const mistral: Architecture = {
  modelType: 'mistral',
  relatives: ['ministral', 'mixtral'],
  read: (config, tensors) => gatedDecoder(readDecoder(config), tensors),
  rewrites: { llama: (config) => ({ config: llamaConfig(config, readDecoder(config)) }) },
};
