// Gemma 3, the language model (arXiv 2503.19786): a norm on each head's query and key, a sliding window in all blocks but
// every sixth, and rotary frequencies of its own where it slides.

import { ConfigReader } from '../config-reader.js';
import { type GatedDecoder, gatedDecoder } from '../gated-decoder.js';
import { readGemmaDecoder } from '../gemma-decoder.js';
import { behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readGlobalRotary, readSlidingBlocks } from '../sliding-blocks.js';

export const gemma3Text: Architecture = {
  modelType: 'gemma3_text',
  biasesNotRead: { 'llama.cpp': behindProjections },
  relatives: ['gemma3n', 'gemma3n_text'],
  read: (config, tensors) =>
    gatedDecoder(readGemma3Decoder(new ConfigReader(config), 'gemma3_text'), tensors),
};

export function readGemma3Decoder(reader: ConfigReader, modelType: string): GatedDecoder {
  const decoder = readGemmaDecoder(reader, modelType, {
    readRotary: (sizes) => readGlobalRotary(reader, { ...sizes, base: 1e6 }),
  });
  // The class has the field and caps nothing.
  reader.absent('attn_logit_softcapping');
  const pattern = reader.count('sliding_window_pattern', 6);
  return {
    ...decoder,
    ...readSlidingBlocks(reader, decoder, { pattern, baseField: 'rope_local_base_freq' }),
    queryKeyNorms: 'heads',
    logitCap: reader.positiveOrNone('final_logit_softcapping'),
  };
}
