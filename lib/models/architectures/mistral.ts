// Mistral (arXiv 2310.06825): the gated decoder with one sliding window in every block. Fields give biases to its linears in vLLM,
// which runs it as LLaMA; transformers has no place for them.

import { readWindows } from '../attention-shape.js';
import { ConfigReader } from '../config-reader.js';
import { type GatedDecoder, gatedDecoder } from '../gated-decoder.js';
import { biasesOfVllmAlone } from '../linear-bias.js';
import { llamaConfig } from '../llama-config.js';
import type { Architecture, Config } from '../model.js';
import { readBiases, readGatedDecoder } from '../read-gated-decoder.js';

export function readMistralDecoder(reader: ConfigReader, modelType: string): GatedDecoder {
  const decoder = readGatedDecoder(reader, modelType);
  const window = reader.positiveOrNull('sliding_window', 4096);
  return { ...decoder, windows: decoder.windows.map(() => window) };
}

/** The window in some blocks only, where `layer_types` says so: transformers runs such a mistral as ministral. */
export function readMinistralDecoder(reader: ConfigReader, modelType: string): GatedDecoder {
  const decoder = readMistralDecoder(reader, modelType);
  const [window = 0] = decoder.windows;
  return { ...decoder, windows: readWindows(reader, decoder.blocks, window, () => true) };
}

function readDecoder(config: Config): GatedDecoder {
  const reader = new ConfigReader(config);
  return { ...readMinistralDecoder(reader, 'mistral'), ...readBiases(reader, { mlp: true }) };
}

export const mistral: Architecture = {
  modelType: 'mistral',
  biasesNotRead: biasesOfVllmAlone,
  read: (config, tensors) => gatedDecoder(readDecoder(config), tensors),
  rewrites: { llama: (config) => ({ config: llamaConfig(config, readDecoder(config)) }) },
};
