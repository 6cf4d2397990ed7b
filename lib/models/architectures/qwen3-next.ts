// Qwen3-Next: linear and gated attention by turns, and experts with one besides that all tokens go through.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import type { Architecture } from '../model.js';
import { withPredictionModule } from '../prediction-layers.js';
import { readSharedQwenExperts, readSparseSteps } from '../read-experts.js';
import { hybridBiasesNotRead, readQwenHybrid } from '../read-qwen-hybrid.js';

export const qwen3Next: Architecture = {
  modelType: 'qwen3_next',
  biasesNotRead: hybridBiasesNotRead,
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readQwenHybrid(reader, 'qwen3_next', 'by head', { mlpSize: 5632 });
    const mixture = readSharedQwenExperts(reader, decoder, {
      ...{ count: 512, perToken: 10, size: 512, sharedSize: 512 },
      normalized: reader.boolean('norm_topk_prob', true),
      sparse: readSparseSteps(reader, decoder.blocks),
    });
    return withPredictionModule(gatedDecoder({ ...decoder, mixture }, tensors), tensors);
  },
};
