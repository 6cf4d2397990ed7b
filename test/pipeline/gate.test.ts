// The held-out gate in whole runs: what it drops is not written, what it keeps helps where it was not fitted.

import { expect, it } from 'vitest';
import { evaluate } from '../../lib/index.js';
import { exampleModel, exampleTestText, temporaryFolder } from '../places.js';
import { randomOpt } from './random-opt.js';
import { finish } from './runs.js';

const options = { bits: 3, method: 'rtn', sampling: 'sequential', sequenceLength: 128 } as const;

it('biases per position fitted to two samples are dropped, and the result is plain rounding', async () => {
  // Norms without biases: what means their outputs have are chance.
  const edit = (name: string, values: Float32Array) => {
    if (name.endsWith('layer_norm.bias')) values.fill(0);
  };
  const shape = { blocks: 2, hiddenSize: 64, mlpSize: 128, edit };
  const model = await randomOpt(await temporaryFolder(), shape);
  const run = { ...options, samples: 2, heldOut: 0.5, compensation: 'position' } as const;
  const { report, directory } = await finish(model, run);
  const dropped = report.layers.filter(({ biasKept }) => !biasKept);
  // A mean of two random observations is mostly chance.
  expect(dropped.length).toBeGreaterThan(report.layers.length / 2);
  for (const layer of dropped) {
    expect(layer.heldOutErrorWithBias, layer.name).toBeGreaterThanOrEqual(layer.heldOutError ?? 0);
    expect(layer.errorWithBias, layer.name).toBe(layer.error);
    expect(layer.biasEnergy, layer.name).toBeGreaterThan(0);
  }
  // Sites whose bias was dropped have none: the result runs, at the length that it was fitted on.
  const { results } = await evaluate(directory, { texts: [exampleTestText], sequenceLength: 128 });
  expect(results[0]?.tokens).toBeGreaterThan(0);
});

it.each(['channel', 'position'] as const)('no held-out error rises: %s', async (compensation) => {
  const run = { ...options, samples: 24, heldOut: 1 / 4, compensation };
  const { report } = await finish(exampleModel, run);
  expect(report.heldOutTokens).toBe(6 * 128);
  let gained = 0;
  for (const { name, biasKept, heldOutError = 0, heldOutErrorWithBias = 0 } of report.layers) {
    expect(heldOutError, name).toBeGreaterThan(0);
    if (!biasKept) continue;
    expect(heldOutErrorWithBias, name).toBeLessThan(heldOutError);
    gained += 1 - heldOutErrorWithBias / heldOutError;
  }
  if (compensation === 'channel') expect(gained / report.layers.length).toBeGreaterThan(0.1);
});

it('without held-out samples every bias stays', async () => {
  const { report } = await finish(exampleModel, { ...options, samples: 4, heldOut: 0 });
  expect(report.heldOutTokens).toBe(0);
  for (const layer of report.layers) {
    expect(layer).toMatchObject({ biasKept: true });
    expect(layer).not.toHaveProperty('heldOutError');
  }
});
