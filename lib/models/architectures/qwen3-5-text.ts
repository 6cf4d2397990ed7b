// Qwen3.5 without what encodes images: linear and gated attention by turns.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import type { Architecture } from '../model.js';
import { withPredictionModule } from '../prediction-layers.js';
import { hybridBiasesNotRead, readQwenHybrid } from '../read-qwen-hybrid.js';

export const qwen35Text: Architecture = {
  modelType: 'qwen3_5_text',
  biasesNotRead: hybridBiasesNotRead,
  read(config, tensors) {
    const decoder = readQwenHybrid(new ConfigReader(config), 'qwen3_5_text', 'separate');
    return withPredictionModule(gatedDecoder(decoder, tensors), tensors);
  },
};
