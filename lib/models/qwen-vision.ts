// What the Qwen models that read images have in common: where the language model lies, and rotary positions in three axes
// (M-RoPE, arXiv 2409.12191), which are one axis on texts.

import { type InnerParts, nested } from './inner-decoder.js';
import type { GatedDefaults } from './read-gated-decoder.js';

export const qwenParts: InnerParts = {
  places: [nested, { root: 'model.', head: 'lm_head.weight' }],
  otherParts: ['visual'],
};

export const textRotary = {
  types: ['default', 'mrope', 'dynamic', 'yarn'],
} satisfies GatedDefaults['rotary'];
