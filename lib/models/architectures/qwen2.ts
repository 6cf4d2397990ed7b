// Qwen2 and Qwen2.5 (arXiv 2407.10671): the gated decoder with biases in query, key and value, and in nothing else.

import { ConfigReader } from '../config-reader.js';
import { type GatedDecoder, gatedDecoder } from '../gated-decoder.js';
import { withBias } from '../linear-bias.js';
import { llamaConfig } from '../llama-config.js';
import type { Architecture, Config } from '../model.js';
import { readQwenWindows } from '../qwen-windows.js';
import { readGatedDecoder } from '../read-gated-decoder.js';

function readDecoder(config: Config): GatedDecoder {
  const reader = new ConfigReader(config);
  const decoder = readGatedDecoder(reader, 'qwen2');
  const biases = { ...decoder.biases, projections: withBias };
  return { ...decoder, biases, windows: readQwenWindows(reader, decoder.blocks) };
}

export const qwen2: Architecture = {
  modelType: 'qwen2',
  relatives: ['qwen'],
  read: (config, tensors) => gatedDecoder(readDecoder(config), tensors),
  rewrites: { llama: (config) => ({ config: llamaConfig(config, readDecoder(config)) }) },
};
