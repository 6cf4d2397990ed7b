// Mistral Small 3.1 and later, which read images: the language model inside, a Mistral.

import { ConfigReader } from './config-reader.js';
import { innerDecoder } from './inner-decoder.js';
import { readMistralDecoder } from './mistral.js';
import type { Architecture } from './model.js';

export const mistral3: Architecture = {
  modelType: 'mistral3',
  relatives: ['ministral3', 'mistral4', 'pixtral'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const text = reader.section('text_config');
    text.only('model_type', 'mistral');
    const decoder = readMistralDecoder(text, 'mistral3');
    // Published checkpoints have a head of their own and no field that says so.
    const tiedHead = reader.boolean('tie_word_embeddings', decoder.tiedHead);
    return innerDecoder({ ...decoder, tiedHead }, config, tensors);
  },
};
