// The search for scales of weights: against trying everything in float64, and never worse than where it starts.

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { shares, uniformCandidates, uniformQuantizer } from '../../lib/activations/index.js';
import { Device, type Tensor } from '../../lib/device/index.js';
import { quantize } from '../../lib/index.js';
import { applied } from '../../lib/pipeline/grids/activation-search.js';
import { disposeParameters, searchLinears } from '../../lib/pipeline/grids/linear-search.js';
import { changeOf } from '../../lib/pipeline/grids/product-change.js';
import { roundedWeight, searchWeight } from '../../lib/pipeline/grids/weight-search.js';
import { defaults, type ResolvedOptions } from '../../lib/pipeline/options/options.js';
import { gridOptions } from '../../lib/quantizers/index.js';
import { at, expectClose, float32, normals } from '../native/harness.js';
import { exampleText, temporaryFolder } from '../places.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

const { readBytes } = Device.prototype;
const throwIfAborted = () => {};
const options: ResolvedOptions = { ...defaults, output: '', calibration: '', bits: 2 };
const [samples, columns, rows] = [40, 32, 6];
const make = (count: number, seed: number, scale?: number) => [...normals(count, seed, scale)];

/** Each row has one weight that is far out, for an input that is always 0. */
function operands(seed: number) {
  const w = make(rows * columns, seed, 0.1).map((value, i) =>
    i % columns === 3 ? 8 * value : value,
  );
  const x = make(samples * columns, seed + 1).map((value, i) => (i % columns === 3 ? 0 : value));
  const gradient = make(samples * rows, seed + 2);
  return {
    weight: float32(device, [rows, columns], w),
    seen: float32(device, [samples, columns], x),
    gradient: float32(device, [samples, rows], gradient),
    plain: { w, x, gradient },
  };
}

/** Σ over samples of (gradient · error)² of one row on a share of its range, in float64. */
function plainChange(plain: ReturnType<typeof operands>['plain'], row: number, share: number) {
  const own = plain.w.slice(row * columns, (row + 1) * columns);
  const [low, high] = [Math.min(0, ...own), Math.max(0, ...own)];
  const zero = Math.round(-low / ((high - low) / 3));
  const scale = (share * (high - low)) / 3;
  let change = 0;
  for (let sample = 0; sample < samples; sample++) {
    let error = 0;
    for (const [j, value] of own.entries()) {
      const code = Math.min(Math.max(Math.round(value / scale) + zero, 0), 3);
      error += (scale * (code - zero) - value) * at(plain.x, sample * columns + j);
    }
    change += (error * at(plain.gradient, sample * rows + row)) ** 2;
  }
  return { change, scale };
}

describe('a search for the scales of one weight', () => {
  it('finds, row by row, what trying every share in float64 finds', async () => {
    const { weight, seen, gradient, plain } = operands(1);
    const product = { expected: device.matmul(seen, weight), gradient };
    const search = { device, scheme: options, weight, seen, product, throwIfAborted };
    const { scales } = await searchWeight(search);
    const expected = Array.from({ length: rows }, (_, row) => {
      const tried = [1, ...shares].map((share) => plainChange(plain, row, share));
      return tried.reduce((best, one) => (one.change < best.change ? one : best)).scale;
    });
    expectClose(await scales.readFloat32(), expected, 1e-5);
    // The weight that is far out meets no input: giving it up costs nothing.
    for (let row = 0; row < rows; row++) {
      expect(at(expected, row)).toBeLessThan(plainChange(plain, row, 1).scale);
    }
  });

  it.each([
    { bits: 2, groupSize: 0 },
    { bits: 3, groupSize: 8, symmetric: true },
    { bits: 2, groupSize: 16, scaleDtype: 'float16' },
  ] as const)('never ends with more change than it starts with: %o', async (grid) => {
    const scheme = { ...options, ...grid };
    for (const seed of [10, 20, 30]) {
      const { weight, seen, gradient } = operands(seed);
      const expected = device.matmul(seen, weight);
      for (const product of [
        { expected, gradient },
        { expected, gradient: undefined },
      ]) {
        const of = (parameters: { scales: Tensor; zeros: Tensor }) =>
          changeOf(device, product, () =>
            device.matmul(seen, roundedWeight(device, weight, parameters, scheme.bits)),
          );
        const before = await of(device.findScales(weight, gridOptions(scheme)));
        const search = { device, scheme, weight, seen, product, throwIfAborted };
        const after = await of(await searchWeight(search));
        for (const [row, change] of after.channels.entries()) {
          expect(change).toBeLessThanOrEqual(at(before.channels, row) * (1 + 1e-6) + 1e-12);
        }
        if (product.gradient !== undefined) expect(after.total).toBeLessThan(before.total);
      }
    }
  });
});

describe('turns of weights and inputs', () => {
  it('never raise the change, and gain over either search alone', async () => {
    const { weight, seen: input, gradient } = operands(40);
    const grid = { bits: 3, symmetric: false };
    const range = { low: -3, high: 3 };
    const start = uniformQuantizer(range, grid);
    const expected = device.matmul(input, weight);
    const run = async (weightSearch: 'none' | 'hessian', searched: boolean) => {
      const { quantizer, parameters } = await searchLinears({
        device,
        options: { ...options, weightSearch, activationRange: 'hessian' },
        throwIfAborted,
        input,
        linears: [{ name: 'a', weight, gradient }],
        start,
        candidates: searched ? uniformCandidates(range, grid) : [],
      });
      const own = parameters.get('a') ?? device.findScales(weight, gridOptions(options));
      const { total } = await changeOf(device, { expected, gradient }, () =>
        device.matmul(
          applied(device, quantizer, input),
          roundedWeight(device, weight, own, options.bits),
        ),
      );
      disposeParameters(parameters);
      return total;
    };
    const neither = await run('none', false);
    const weights = await run('hessian', false);
    const both = await run('hessian', true);
    expect(weights).toBeLessThan(neither);
    expect(both).toBeLessThanOrEqual(weights);
    expect(both).toBeLessThan(await run('none', true));
  });
});

it('a search that fails at its second weight leaves no tensor to the collector', async () => {
  const { weight, seen: input } = operands(31);
  const read = vi.spyOn(Device.prototype, 'readBytes');
  const made = (['zeros', 'cast', 'reshape'] as const).map((name) => vi.spyOn(device, name));
  const search = (names: readonly string[]) =>
    searchLinears({
      ...{ device, throwIfAborted, input, start: undefined, candidates: [] },
      options: { ...options, weightSearch: 'cosine' },
      linears: names.map((name) => ({ name, weight, gradient: undefined })),
    });
  try {
    const { parameters } = await search(['a']);
    disposeParameters(parameters);
    const reads = read.mock.calls.length;
    for (const spy of [read, ...made]) spy.mockClear();
    read.mockImplementation(function (this: Device, tensor, into) {
      if (read.mock.calls.length === reads + 5) throw new Error('No memory is left.');
      return readBytes.call(this, tensor, into);
    });
    await expect(search(['a', 'b'])).rejects.toThrow('No memory is left.');
    const tensors = made.flatMap(({ mock }) => mock.results.map(({ value }) => value as Tensor));
    expect(tensors.length).toBeGreaterThan(reads);
    expect(tensors.filter(({ disposed }) => !disposed)).toEqual([]);
  } finally {
    vi.restoreAllMocks();
  }
});

it('methods that find scales themselves are refused', async () => {
  const output = `${await temporaryFolder()}/result`;
  const events = quantize('nowhere', {
    output,
    calibration: exampleText,
    method: 'gptq',
    weightSearch: 'cosine',
  });
  await expect(events.next()).rejects.toThrow(
    'Expected a method that takes scales found before (rtn) with weightSearch but received gptq.',
  );
});
