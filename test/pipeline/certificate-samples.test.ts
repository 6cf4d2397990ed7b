// Second moments of some samples: what is written stays the same, and errors are told as those samples have them.

import { expect, it } from 'vitest';
import { exampleModel } from '../places.js';
import { filesOf, finish, mean } from './runs.js';

const options = { method: 'rtn', bits: 3, samples: 48, sequenceLength: 96 } as const;

it.each(['float', 'quantized'] as const)('on the %s path', async (propagate) => {
  const whole = await finish(exampleModel, { ...options, propagate });
  // The first mini-batch has 21 samples.
  const some = await finish(exampleModel, { ...options, propagate, certificateSamples: 8 });
  expect(await filesOf(some)).toEqual(await filesOf(whole));
  const ratios = some.report.layers.map(({ error, biasEnergy, biasKept }, i) => {
    const other = whole.report.layers[i];
    expect(biasKept).toBe(other?.biasKept);
    // Means are those of all samples.
    const energy = some.report.layers[i]?.outputEnergy ?? 0;
    expect(biasEnergy * energy).toBeCloseTo(
      (other?.biasEnergy ?? 0) * (other?.outputEnergy ?? 0),
      9,
    );
    return error / (other?.error ?? 0);
  });
  expect(new Set(ratios).size).toBeGreaterThan(1);
  expect(Math.abs(mean(ratios) - 1)).toBeLessThan(0.05);
});

it('of all samples at least are those of all', async () => {
  const whole = await finish(exampleModel, options);
  const some = await finish(exampleModel, { ...options, certificateSamples: 48 });
  expect(some.report.layers).toEqual(whole.report.layers);
});
