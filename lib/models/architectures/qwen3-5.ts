// Qwen3.5: the language model inside, on texts alone.

import { ConfigReader } from '../config-reader.js';
import { innerDecoder } from '../inner-decoder.js';
import type { Architecture } from '../model.js';
import { withPredictionModule } from '../prediction-layers.js';
import { qwenParts } from '../qwen-vision.js';
import { hybridBiasesNotRead, readQwenHybrid } from '../read-qwen-hybrid.js';

export const qwen35: Architecture = {
  modelType: 'qwen3_5',
  biasesNotRead: hybridBiasesNotRead,
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readQwenHybrid(reader.section('text_config'), 'qwen3_5', 'separate');
    const tiedHead = reader.boolean('tie_word_embeddings', false);
    return withPredictionModule(
      innerDecoder({ ...decoder, tiedHead }, config, tensors, qwenParts),
      tensors,
    );
  },
};
