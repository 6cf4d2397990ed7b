// Scales and caps: which of them an architecture of llama.cpp reads, and what the others are.

import type { Constant, ConstantName, GgufArchitecture } from './architecture.js';
import { float32, type Metadata } from './metadata.js';
import type { Outline } from './outline.js';
import { refused } from './refused.js';

/** Where an architecture says nothing of them, and what they are called in messages. */
const usual: Readonly<Record<ConstantName, { readonly fixed: Constant; readonly word: string }>> = {
  scale: { fixed: ({ shape }) => shape.headSize ** -0.5, word: 'a scale of attention scores' },
  attentionCap: { fixed: () => 0, word: 'a cap of attention scores' },
  logitCap: { fixed: () => 0, word: 'a cap of logits' },
  embeddingScale: { fixed: () => 1, word: 'a scale of embeddings' },
  residualScale: { fixed: () => 1, word: 'a scale of residual additions' },
  logitScale: { fixed: () => 1, word: 'a scale of logits' },
};

const names = Object.keys(usual) as ConstantName[];

/** Error ERR_UNSUPPORTED for one that is not what the architecture fixes. */
export function constantMetadata(architecture: GgufArchitecture, outline: Outline): Metadata {
  const { name, constants } = architecture;
  const entries = names.flatMap((constant) => {
    const { fixed, word } = usual[constant];
    const rule = constants?.[constant] ?? fixed;
    const value = outline[constant];
    if (typeof rule === 'function') {
      const expected = rule(outline);
      if (Math.abs(value - expected) <= 1e-6 * Math.abs(expected)) return [];
      throw refused(`${word} of ${expected}, as ${name} computes it,`, `${value}`);
    }
    if (rule.positive && value <= 0) throw refused(`${word} above 0 in ${name}`, `${value}`);
    return [[`${name}.${rule.key}`, float32(rule.inverse ? 1 / value : value)] as const];
  });
  return Object.fromEntries(entries);
}
