// What a search for ranges tries: shares of the range, and twin quantizers whose two sides are a power of two apart.

import { describe, expect, it } from 'vitest';
import {
  signedCandidates,
  softmaxCandidates,
  uniformCandidates,
} from '../../lib/activations/index.js';

const grid = { bits: 4, symmetric: false };

describe('candidates', () => {
  it('uniform: from a small share of the range to a little beyond it', () => {
    const scales = uniformCandidates({ low: -1, high: 2 }, grid).map((candidate) =>
      candidate.kind === 'uniform' ? (candidate.scale * 15) / 3 : 0,
    );
    expect(Math.min(...scales)).toBeLessThan(0.2);
    expect(Math.max(...scales)).toBeCloseTo(1.2, 5);
    expect(scales).toEqual([...scales].sort((a, b) => a - b));
  });

  it('softmax: the coarse side reaches the largest value, the fine side meets it', () => {
    for (const [m, twin] of softmaxCandidates({ low: 0, high: 0.7 }, grid).entries()) {
      expect(twin.highScale * twin.highMax).toBeCloseTo(0.7, 12);
      expect(twin.highScale / twin.lowScale).toBe(2 ** m);
      expect(twin.threshold).toBeCloseTo(twin.lowScale * 8, 12);
      expect([twin.lowMin, twin.lowMax, twin.highMax]).toEqual([0, 7, 7]);
    }
  });

  it('GELU: the negative side is as fine as covers it', () => {
    for (const twin of signedCandidates({ low: -0.17, high: 5 }, grid)) {
      expect(Math.log2(twin.highScale / twin.lowScale) % 1).toBe(0);
      expect(twin.lowScale * -twin.lowMin).toBeGreaterThanOrEqual(0.17);
      expect((twin.lowScale / 2) * -twin.lowMin).toBeLessThan(0.17);
      expect(twin.threshold).toBe(0);
    }
  });
});
