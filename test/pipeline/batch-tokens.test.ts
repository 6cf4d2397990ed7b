// How many tokens mini-batches have, by the device that they are for.

import { expect, it } from 'vitest';
import { batchTokensOf } from '../../lib/pipeline/memory/batch-tokens.js';
import type { QuantizeOptions } from '../../lib/pipeline/options/options.js';
import { resolveOptions } from '../../lib/pipeline/options/resolve-options.js';

const samples = 512 * 2048;

const tokens = (device: string | string[], all = samples, how: Partial<QuantizeOptions> = {}) =>
  batchTokensOf(resolveOptions({ output: 'o', calibration: 'c', device, ...how }).options, all);

it('a GPU takes more, if that leaves enough mini-batches for each', () => {
  expect(tokens('cpu')).toBe(2048);
  expect(tokens('cuda:0')).toBe(16384);
  expect(tokens(['cuda:0', 'cuda:1'], 64 * 2048)).toBe(8192);
  expect(tokens('cuda:0', 2048)).toBe(2048);
});

it('a CPU beside it decides for all', () => {
  expect(tokens(['cuda:0', 'cpu'])).toBe(2048);
});

it('what reads single mini-batches has the same everywhere', () => {
  expect(tokens('cuda:0', samples, { activationBits: 8 })).toBe(2048);
  expect(tokens('cuda:0', samples, { method: 'rtn', weightSearch: 'cosine' })).toBe(2048);
});
