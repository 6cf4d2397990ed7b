// What the Qwen models that read images have in common: where the language model lies, and rotary positions in three axes
// (M-RoPE, arXiv 2409.12191), which are one axis on texts.

import type { ConfigReader } from './config-reader.js';
import { type InnerParts, nested } from './inner-decoder.js';
import { type RotarySizes, readRotary } from './read-rotary.js';
import type { Rotary } from './rotary.js';

export const qwenParts: InnerParts = {
  places: [nested, { root: 'model.', head: 'lm_head.weight' }],
  otherParts: ['visual'],
};

export function readTextRotary(reader: ConfigReader, sizes: RotarySizes, base: number): Rotary {
  return readRotary(reader, { ...sizes, base, types: ['default', 'mrope', 'dynamic', 'yarn'] });
}
