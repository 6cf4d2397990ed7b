// Memory beyond the plan changes how often a block is run, never what comes of it.

import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Device } from '../../lib/device/index.js';
import { planMemory } from '../../lib/index.js';
import { SpareMemory } from '../../lib/pipeline/memory/spare-memory.js';
import { exampleModel, exampleText } from '../places.js';
import { filesOf, finish } from './runs.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 1 });
});
afterAll(() => device.close());

describe('without a number', () => {
  const free = () => vi.spyOn(Device.prototype, 'availableBytes', 'get');
  afterEach(() => vi.restoreAllMocks());

  it('what is free is to spare but for the plan, shared by devices of one host', () => {
    free().mockReturnValue(32);
    const x = device.zeros('float32', [1]);
    const takes = (devices: readonly Device[], planned: number) =>
      SpareMemory.of(devices, undefined, planned).take(x);
    expect(takes([device], 12)).toBe(true);
    expect(takes([device], 13)).toBe(false);
    const other = Device.open('cpu', { threads: 1 });
    expect(takes([device, other], 4)).toBe(true);
    expect(takes([device, other], 5)).toBe(false);
    other.close();
  });

  it('nothing is taken of what others have begun to use', () => {
    const x = device.zeros('float32', [1]);
    const available = free().mockReturnValue(32);
    const spare = SpareMemory.of([device], undefined, 0);
    available.mockReturnValue(20);
    expect(spare.take(x)).toBe(true);
    available.mockReturnValue(19);
    expect(spare.take(x)).toBe(false);
    expect(SpareMemory.of([device], 4, 0).take(x)).toBe(true);
  });
});

it('what is claimed is taken from all devices and given back', () => {
  const other = Device.open('cpu', { threads: 1 });
  const spare = SpareMemory.of([device, other], 16, 0);
  expect(spare.left).toBe(16);
  const x = other.zeros('float32', [2]);
  {
    using _claimed = spare.claim(12);
    expect([spare.left, spare.take(x)]).toEqual([4, false]);
  }
  expect([spare.left, spare.take(x), spare.left]).toEqual([16, true, 8]);
  expect(SpareMemory.of([device], 16, 20).left).toBe(16);
  other.close();
});

it.each([{}, { method: 'gptq', target: 'float', sites: ['linear', 'mlp', 'block'] }] as const)(
  'a run comes to the same with all, some and none: %o',
  async (given) => {
    const options = { ...given, samples: 32, sequenceLength: 128, bits: 3, threads: 2 };
    const { heldBytes } = await planMemory(exampleModel, {
      ...options,
      output: 'result',
      calibration: exampleText,
    });
    const products = vi.spyOn(Device.prototype, 'matmul');
    const runs = [];
    for (const spareBytes of [0, Math.floor(heldBytes / 2), heldBytes]) {
      products.mockClear();
      const run = await finish(exampleModel, { ...options, spareBytes });
      const { layers } = run.report;
      runs.push({ layers, files: await filesOf(run), products: products.mock.calls.length });
    }
    products.mockRestore();
    const [none, some, all] = runs;
    expect(some).toMatchObject({ layers: none?.layers, files: none?.files });
    expect(all).toMatchObject({ layers: none?.layers, files: none?.files });
    expect(some?.products).toBeLessThan(none?.products ?? 0);
    expect(all?.products).toBeLessThan(some?.products ?? 0);
  },
);
