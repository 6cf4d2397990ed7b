// Gemma 3 with an image encoder (arXiv 2503.19786): the language model inside, on texts alone.

import { ConfigReader } from '../config-reader.js';
import { innerDecoder } from '../inner-decoder.js';
import { behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readGemma3Decoder } from './gemma3-text.js';

/** Published configurations leave out what is so in the class. */
const defaults = {
  vocab_size: 262_208,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  max_position_embeddings: 131_072,
};

export const gemma3: Architecture = {
  modelType: 'gemma3',
  biasesNotRead: { 'llama.cpp': behindProjections },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const text = reader.section('text_config', defaults);
    for (const each of [reader, text]) each.only('tie_word_embeddings', true);
    // Not read beside an image encoder.
    text.absent('final_logit_softcapping');
    const decoder = readGemma3Decoder(text, 'gemma3');
    return innerDecoder(decoder, config, tensors);
  },
};
