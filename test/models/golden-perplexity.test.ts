// Float perplexity of a trained LLaMA against transformers. The figures are from scripts/verify/perplexity.py
// (transformers 5.23.0, torch 2.13.0, float32): windows of 512 tokens over the bundled text, or over the three test
// texts with BALLAST_FULL=1.

import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { evaluate } from '../../lib/evaluate/index.js';
import { full } from '../pipeline/runs.js';
import { exampleTestText, hasShared, sharedModel, sharedText } from '../places.js';

/** By path. */
const golden: Readonly<Record<string, number>> = full
  ? {
      [sharedText('wikitext2-test')]: 132.07366748954652,
      [sharedText('books-heldout')]: 100.10493338850769,
      [sharedText('shakespeare')]: 98.47153651696169,
    }
  : { [exampleTestText]: 92.47743455507083 };

describe.skipIf(!hasShared)('llama-6m, float', () => {
  test('perplexity within 0.05 % of transformers', { timeout: 600_000 }, async () => {
    const texts = Object.keys(golden);
    const { results } = await evaluate(sharedModel('llama-6m'), { texts, sequenceLength: 512 });
    expect(results.map(({ text }) => text)).toEqual(texts.map((path) => basename(path)));
    for (const [i, { text, perplexity }] of results.entries()) {
      const ratio = perplexity / (golden[texts[i] ?? ''] ?? Number.NaN);
      expect(Math.abs(ratio - 1), `${text}: ${perplexity}`).toBeLessThan(5e-4);
    }
  });
});
