// Gemma 4 with what encodes images: the language model inside, on texts alone.

import { ConfigReader } from '../config-reader.js';
import { innerDecoder, nested } from '../inner-decoder.js';
import type { Architecture } from '../model.js';
import { readGemma4Decoder } from './gemma4-text.js';

const parts = {
  places: [nested],
  otherParts: ['vision_tower', 'embed_vision', 'audio_tower', 'embed_audio'],
} as const;

export const gemma4: Architecture = {
  modelType: 'gemma4',
  relatives: ['gemma4_unified'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const text = reader.section('text_config');
    for (const each of [reader, text]) each.only('tie_word_embeddings', true);
    return innerDecoder(readGemma4Decoder(text, 'gemma4'), config, tensors, parts);
  },
};
