// What is copied to another device comes whole or leaves nothing there: each copy is made to fail once.

import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { allOrNothing } from '../lib/all-or-nothing.js';
import { Device, type Tensor } from '../lib/device/index.js';
import { BallastError } from '../lib/errors.js';
import { copyLinear } from '../lib/execution/index.js';
import { GroupSums } from '../lib/statistics/index.js';
import { float32, normals } from './native/harness.js';

let from: Device;
let to: Device;
beforeAll(() => {
  from = Device.open('cpu', { threads: 1 });
  to = Device.open('cpu', { threads: 1 });
});
afterAll(() => {
  from.close();
  to.close();
});
afterEach(() => vi.restoreAllMocks());

/** Lets `good` copies succeed and the next one fail; what they made. */
function failAfter(good: number): Tensor[] {
  const made: Tensor[] = [];
  const copyTo = from.copyTo.bind(from);
  vi.spyOn(from, 'copyTo').mockImplementation(async (target, tensor) => {
    if (made.length === good) throw new BallastError('ERR_MEMORY', 'No memory is left.');
    const copy = await copyTo(target, tensor);
    made.push(copy);
    return copy;
  });
  return made;
}

const tensor = (...shape: [number, number]) => float32(from, shape, normals(shape[0] * shape[1]));

async function statistics() {
  const needs = { moments: true, quantizerMoment: true, drift: true, positions: true };
  using sums = new GroupSums(from, 4, needs);
  sums.add({ inputs: tensor(8, 3), reference: tensor(8, 3), quantizerInputs: tensor(8, 3) });
  return await sums.finish();
}

describe.each([
  {
    what: 'a linear',
    copies: 3,
    begin: async () => {
      const linear = { weight: tensor(3, 2), bias: tensor(1, 3), positionBias: tensor(4, 3) };
      return () => copyLinear(linear, to);
    },
  },
  {
    what: 'statistics',
    copies: 15,
    begin: async () => {
      const group = await statistics();
      return () => group.copyTo(to);
    },
  },
])('$what', ({ copies, begin }) => {
  it.each(Array.from({ length: copies }, (_, good) => good))('after %i copies', async (good) => {
    const copy = await begin();
    const made = failAfter(good);
    await expect(copy()).rejects.toThrow('No memory is left.');
    expect(made.map(({ disposed }) => disposed)).toEqual(Array(good).fill(true));
  });

  it('whole', async () => {
    const copy = await begin();
    const made = failAfter(copies);
    await copy();
    expect(made.map(({ disposed }) => disposed)).toEqual(Array(copies).fill(false));
  });
});

it('passes what is absent or there already', async () => {
  const there = tensor(1, 1);
  const failing = allOrNothing(async (own) => {
    expect(await own(undefined)).toBeUndefined();
    expect(await own(there)).toBe(there);
    throw new RangeError('Not this time.');
  });
  await expect(failing).rejects.toThrow('Not this time.');
  expect(there.disposed).toBe(true);
});
