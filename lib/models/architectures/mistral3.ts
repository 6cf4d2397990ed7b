// Mistral Small 3.1 and later and Ministral 3, which read images: the language model inside, a Mistral of either kind.

import { ConfigReader } from '../config-reader.js';
import { innerDecoder } from '../inner-decoder.js';
import { biasesOfVllmAlone } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readBiases } from '../read-gated-decoder.js';
import { readMinistral3Decoder } from './ministral3.js';
import { readMistralDecoder } from './mistral.js';

const readers = { mistral: readMistralDecoder, ministral3: readMinistral3Decoder };

export const mistral3: Architecture = {
  modelType: 'mistral3',
  biasesNotRead: biasesOfVllmAlone,
  relatives: ['mistral4', 'pixtral'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const text = reader.section('text_config');
    const decoder = text.choice('model_type', readers, 'mistral')(text, 'mistral3');
    // A head that is there is a head of its own, as transformers has it; published checkpoints do not always say so.
    const tied = reader.boolean('tie_word_embeddings', true);
    const tiedHead = tied && ![...tensors].some((name) => name.endsWith('lm_head.weight'));
    return innerDecoder(
      { ...decoder, ...readBiases(text, { mlp: true }), tiedHead },
      config,
      tensors,
    );
  },
};
