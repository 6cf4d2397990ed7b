// Qwen3.5 with experts: the language model inside, on texts alone.

import { ConfigReader } from '../config-reader.js';
import { innerDecoder } from '../inner-decoder.js';
import type { Architecture } from '../model.js';
import { withPredictionModule } from '../prediction-layers.js';
import { qwenParts } from '../qwen-vision.js';
import { hybridBiasesNotRead, readQwenHybridExperts } from '../read-qwen-hybrid.js';

export const qwen35Moe: Architecture = {
  modelType: 'qwen3_5_moe',
  biasesNotRead: hybridBiasesNotRead,
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readQwenHybridExperts(reader.section('text_config'), 'qwen3_5_moe');
    const tiedHead = reader.boolean('tie_word_embeddings', false);
    return withPredictionModule(
      innerDecoder({ ...decoder, tiedHead }, config, tensors, qwenParts),
      tensors,
    );
  },
};
