// Gemma 3, the language model (arXiv 2503.19786): a norm on each head's query and key, a sliding window in all blocks but
// every sixth, and rotary frequencies of its own where it slides.

import { readWindows } from './attention-shape.js';
import { ConfigReader } from './config-reader.js';
import { type GatedDecoder, gatedDecoder } from './gated-decoder.js';
import { readGemmaDecoder } from './gemma-decoder.js';
import type { Architecture } from './model.js';
import { type Rotary, type RotarySizes, rotaryOf } from './rotary.js';

export const gemma3Text: Architecture = {
  modelType: 'gemma3_text',
  relatives: ['gemma3n', 'gemma3n_text'],
  read: (config, tensors) =>
    gatedDecoder(readGemma3Decoder(new ConfigReader(config), 'gemma3_text'), tensors),
};

export function readGemma3Decoder(reader: ConfigReader, modelType: string): GatedDecoder {
  const decoder = readGemmaDecoder(reader, modelType, readGlobalRotary);
  // The class has the field and caps nothing.
  if (reader.has('attn_logit_softcapping')) {
    throw reader.unsupported('attn_logit_softcapping', 'null');
  }
  const window = reader.positiveOrNull('sliding_window', 4096);
  if (window === 0) throw reader.unsupported('sliding_window', 'a number above 0');
  const pattern = reader.count('sliding_window_pattern', 6);
  const slides = (index: number) => (index + 1) % pattern !== 0;
  const windows = readWindows(reader, decoder.blocks, window, slides);
  const { headSize } = decoder.shape;
  const local = readLocalRotary(reader, { headSize, maxPositions: decoder.maxPositions });
  return {
    ...decoder,
    queryKeyNorms: 'heads',
    windows,
    rotaries: windows.map((tokens) => (tokens > 0 ? local : decoder.rotary)),
    logitCap: reader.positiveOrNone('final_logit_softcapping'),
  };
}

/** Of blocks that see all tokens: `rope_scaling`, before there were parameters for each kind, was theirs alone. */
function readGlobalRotary(reader: ConfigReader, sizes: RotarySizes): Rotary {
  const parameters = reader.object('rope_parameters');
  for (const field of ['rope_type', 'rope_theta']) {
    if (parameters?.has(field)) throw parameters.unsupported(field, 'none beside full_attention');
  }
  const own = parameters?.object('full_attention') ?? reader.object('rope_scaling');
  return rotaryOf(reader, own, { ...sizes, base: 1e6 });
}

function readLocalRotary(reader: ConfigReader, sizes: RotarySizes): Rotary {
  const own = reader.object('rope_parameters')?.object('sliding_attention');
  return rotaryOf(reader, own, { ...sizes, baseField: 'rope_local_base_freq' });
}
