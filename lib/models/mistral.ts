// Mistral (arXiv 2310.06825): the gated decoder with one sliding window in every block, and no biases.

import { readWindows } from './attention-shape.js';
import { ConfigReader } from './config-reader.js';
import { type GatedDecoder, gatedDecoder } from './gated-decoder.js';
import { llamaConfig } from './llama-config.js';
import type { Architecture, Config } from './model.js';
import { readGatedDecoder } from './read-gated-decoder.js';

export function readMistralDecoder(reader: ConfigReader, modelType: string): GatedDecoder {
  const decoder = readGatedDecoder(reader, modelType);
  const window = reader.positiveOrNull('sliding_window', 4096);
  return { ...decoder, windows: decoder.windows.map(() => window) };
}

/** With `layer_types` it is a Ministral 8B, which slides in some blocks only. */
function readDecoder(config: Config): GatedDecoder {
  const reader = new ConfigReader(config);
  const decoder = readMistralDecoder(reader, 'mistral');
  const [window = 0] = decoder.windows;
  return { ...decoder, windows: readWindows(reader, decoder.blocks, window, () => true) };
}

export const mistral: Architecture = {
  modelType: 'mistral',
  relatives: ['ministral', 'mixtral'],
  read: (config, tensors) => gatedDecoder(readDecoder(config), tensors),
  rewrites: { llama: (config) => ({ config: llamaConfig(config, readDecoder(config)) }) },
};
