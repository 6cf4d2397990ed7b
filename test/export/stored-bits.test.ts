// What a report tells of a packed weight's size is what its files hold.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { Device } from '../../lib/device/index.js';
import { describeResult } from '../../lib/export/describe-result.js';
import { findFormat, storedBitsOf } from '../../lib/export/index.js';
import { readModel } from '../../lib/models/index.js';
import {
  baseConfig,
  baseGrid,
  exportRandom,
  randomLlama,
  superGrid,
  superSizes,
} from './random-llama.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

/** Of codes, scales and zero points, but for what a tensor has once: its shape, or the groups of its columns. */
async function packedBytes(directory: string): Promise<number> {
  const packed = /weight_packed|weight_scale|weight_zero_point|qweight|qzeros|scales|^Q\d_[\dK]$/;
  const described = await describeResult(directory);
  const tensors =
    described?.tensors.map(({ dtype, bytes }) => [dtype, bytes] as const) ??
    Array.from((await Checkpoint.open(directory)).tensors, ([name, { bytes }]) => [name, bytes]);
  return tensors.reduce((sum, [name, bytes]) => sum + (packed.test(`${name}`) ? +bytes : 0), 0);
}

it.each([
  ['compressed-tensors', { symmetric: true }, 4.5],
  ['compressed-tensors', { symmetric: false }, 4.625],
  ['compressed-tensors', { symmetric: true, scaleDtype: 'float32' }, 5],
  ['gptq', { symmetric: true }, 4.625],
  ['gptq', { symmetric: false, bits: 8 }, 8.75],
  ['gguf', { symmetric: true }, 4.5],
  ['gguf', { symmetric: false }, 5],
  ['gguf', { symmetric: true, bits: 8 }, 8.5],
  ['gguf', superGrid(2), 2.625],
  ['gguf', superGrid(3), 3.4375],
  ['gguf', superGrid(4), 4.5],
  ['gguf', superGrid(5), 5.5],
  ['gguf', superGrid(6), 6.5625],
] as const)('%s, %o: %d bits', async (format, changes, expected) => {
  const grid = { ...baseGrid, ...changes };
  const { directory } = await exportRandom(device, await randomLlama(superSizes), format, grid);
  const { code, group } = storedBitsOf(findFormat(format), grid);
  expect(code + group / grid.groupSize).toBe(expected);
  const { linears, blocks } = readModel({ ...baseConfig, ...superSizes }, new Set());
  const weights = linears.reduce((sum, spec) => sum + spec.inChannels * spec.outChannels, 0);
  expect((8 * (await packedBytes(directory))) / (blocks * weights)).toBe(expected);
});

it.each([
  [{ bits: 3 }, 4 + (32 + 4) / 32],
  [{ bits: 4, symmetric: true }, 4 + 32 / 32],
  [{ bits: 8 }, 8 + (32 + 8) / 32],
])('onnx, %o: codes of four or eight bits, scales in float32', (changes, expected) => {
  const grid = { ...baseGrid, ...changes };
  const { code, group } = storedBitsOf(findFormat('onnx'), grid);
  expect(code + group / grid.groupSize).toBe(expected);
});
