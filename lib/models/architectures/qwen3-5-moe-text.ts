// Qwen3.5 with experts, without what encodes images: linear and gated attention by turns.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import type { Architecture } from '../model.js';
import { withPredictionModule } from '../prediction-layers.js';
import { hybridBiasesNotRead, readQwenHybridExperts } from '../read-qwen-hybrid.js';

export const qwen35MoeText: Architecture = {
  modelType: 'qwen3_5_moe_text',
  biasesNotRead: hybridBiasesNotRead,
  read(config, tensors) {
    const decoder = readQwenHybridExperts(new ConfigReader(config), 'qwen3_5_moe_text');
    return withPredictionModule(gatedDecoder(decoder, tensors), tensors);
  },
};
