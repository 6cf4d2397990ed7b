// Float perplexity of a trained LLaMA against transformers. The figures are from scripts/verify/perplexity.py
// (transformers 5.23.0, torch 2.13.0, float32): windows of 512 tokens over the three test texts.

import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { evaluate } from '../../lib/evaluate/index.js';

const model = '../shared/models/llama-6m';
const golden = {
  'wikitext2-test.txt': 132.07366748954652,
  'books-heldout.txt': 100.10493338850769,
  'shakespeare.txt': 98.47153651696169,
};

describe.skipIf(!existsSync(model))(`${model}, float`, () => {
  // Half a minute of two cores; more where other tests run beside it.
  test('perplexity within 0.05 % of transformers', { timeout: 600_000 }, async () => {
    const texts = Object.keys(golden).map((text) => `../shared/data/${text}`);
    const { results } = await evaluate(model, { texts, sequenceLength: 512 });
    expect(results.map(({ text }) => text)).toEqual(Object.keys(golden));
    for (const { text, perplexity } of results) {
      const ratio = perplexity / golden[text as keyof typeof golden];
      expect(Math.abs(ratio - 1), `${text}: ${perplexity}`).toBeLessThan(5e-4);
    }
  });
});
