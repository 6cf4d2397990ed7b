// Qwen2-VL (arXiv 2409.12191): the language model inside, on texts alone, is Qwen2.

import { ConfigReader } from '../config-reader.js';
import { innerDecoder } from '../inner-decoder.js';
import { behindProjections, withBias } from '../linear-bias.js';
import type { Architecture, Config, LanguageModel } from '../model.js';
import { qwenParts, textRotary } from '../qwen-vision.js';
import { readQwenWindows } from '../qwen-windows.js';
import { readGatedDecoder } from '../read-gated-decoder.js';

export const qwen2Vl: Architecture = {
  modelType: 'qwen2_vl',
  biasesNotRead: { 'llama.cpp': behindProjections },
  read: (config, tensors) => readQwen2Vl(config, tensors, 'qwen2_vl'),
};

export function readQwen2Vl(
  config: Config,
  tensors: ReadonlySet<string>,
  modelType: string,
): LanguageModel {
  const reader = new ConfigReader(config);
  // Published configurations hold the language model's fields beside those of the images.
  const text = reader.has('text_config') ? reader.section('text_config') : reader;
  const decoder = readGatedDecoder(text, modelType, {
    eps: 1e-5,
    rotary: { ...textRotary, base: 1e6 },
  });
  const inner = {
    ...decoder,
    tiedHead: reader.boolean('tie_word_embeddings', false),
    biases: { ...decoder.biases, projections: withBias },
    windows: readQwenWindows(text, decoder.blocks, 80),
  };
  return innerDecoder(inner, config, tensors, qwenParts);
}
