// What a run reports of each linear against a recomputation from its files, layer by layer: both weights are run
// forward on the inputs that they have in the two models, and averaged.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Device } from '../../lib/device/index.js';
import type { QuantizeOptions, RunReport } from '../../lib/index.js';
import {
  exampleModel,
  exampleText,
  hasShared,
  sharedModel,
  sharedText,
  temporaryFolder,
} from '../places.js';
import { type Comparison, compare, windowsOf } from './forward.js';
import { randomOpt } from './random-opt.js';
import { finish } from './runs.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

type Paths = Parameters<typeof compare>[4];
type Options = Partial<QuantizeOptions>;

const samples = 8;
const sampling = { samples, sampling: 'sequential', heldOut: 0 } as const;

/** Runs, and compares the two models on the samples that were fitted on. */
async function certified(
  model: string,
  paths: Paths,
  options: Options,
  text = exampleText,
): Promise<{ report: RunReport; forward: Comparison }> {
  const sequenceLength = options.sequenceLength ?? 128;
  const run = { ...sampling, bits: 3, ...options, sequenceLength, calibration: text };
  const { directory, report } = await finish(model, run);
  const windows = await windowsOf(model, text, samples, sequenceLength);
  return { report, forward: await compare(device, model, directory, windows, paths) };
}

function expectCertified({ report, forward }: Awaited<ReturnType<typeof certified>>): void {
  expect(report.layers.map(({ name }) => name)).toEqual([...forward.linears.keys()]);
  for (const layer of report.layers) {
    const brute = forward.linears.get(layer.name);
    if (brute === undefined) throw new Error(layer.name);
    const near = (actual: number, expected: number, what: string) =>
      expect(Math.abs(actual / expected - 1), `${layer.name}: ${what}`).toBeLessThan(1e-3);
    near(layer.outputEnergy, brute.energy, 'energy');
    near(layer.error, brute.error, 'error');
    near(layer.errorWithBias, brute.errorWithBias, 'error with bias');
    // A bias never raises the error, and takes off exactly its own energy.
    expect(layer.errorWithBias).toBeLessThanOrEqual(layer.error);
    const drop = layer.error - layer.errorWithBias;
    expect(Math.abs(drop - layer.biasEnergy), layer.name).toBeLessThan(1e-9 + 1e-6 * layer.error);
  }
}

/** Nothing is left of the residual's mean; `tolerance` as a share of the error. */
function expectNoMean({ linears }: Comparison, tolerance: number): void {
  for (const [name, { residualMean, error }] of linears) {
    expect(residualMean / error, name).toBeLessThan(tolerance);
  }
}

const onQuantized: Paths = { inputs: 'quantized', target: 'quantized' };
const onFloat: Paths = { inputs: 'float', target: 'float' };
const asymmetric: Paths = { inputs: 'quantized', target: 'float' };

describe('certificates equal both layers run forward', () => {
  // float32 weights: nothing is rounded between the certificate and the files.
  const cases: [string, Paths, Options][] = [
    ['joint, true sequential', onQuantized, {}],
    [
      'sequential, statistics taken once a block, float path',
      onFloat,
      { fit: 'sequential', trueSequential: false, propagate: 'float' },
    ],
    ['rounding to nearest', onQuantized, { method: 'rtn' }],
    ['the float path as target', asymmetric, { target: 'float' }],
    ['the float path as target, sequential', asymmetric, { target: 'float', fit: 'sequential' }],
    ['groups, clipping, 2 bits', onQuantized, { bits: 2, groupSize: 32, clip: 'mse' }],
    ['act-order', onQuantized, { method: 'gptq', actOrder: true }],
    ['one bias a position', onQuantized, { compensation: 'position' }],
    [
      'one bias a position, the float path as target',
      asymmetric,
      { compensation: 'position', target: 'float' },
    ],
  ];
  it.each(cases)('%s (random OPT)', async (_, paths, options) => {
    const shape = { blocks: 2, hiddenSize: 64, mlpSize: 128 };
    const model = await randomOpt(await temporaryFolder(), shape);
    const run = await certified(model, paths, options);
    expectCertified(run);
    expectNoMean(run.forward, 1e-7);
  });

  it('post-norm (random OPT)', async () => {
    const shape = { blocks: 2, hiddenSize: 64, mlpSize: 128, preNorm: false };
    const model = await randomOpt(await temporaryFolder(), shape);
    const run = await certified(model, onQuantized, {});
    expectCertified(run);
    expectNoMean(run.forward, 1e-7);
  });

  it('float16 weights and biases (bundled model)', async () => {
    const run = await certified(exampleModel, onQuantized, {});
    expectCertified(run);
    expectNoMean(run.forward, 1e-4);
  });
});

describe.skipIf(!hasShared)('opt-7m', () => {
  it('every layer’s certificate equals both layers run forward', async () => {
    const text = sharedText('books-calib');
    const run = await certified(sharedModel('opt-7m'), onQuantized, { sequenceLength: 256 }, text);
    expect(run.report.layers).toHaveLength(36);
    expectCertified(run);
  });
});
