// Results of more than the caches hold are made aside and written past them (native/cpu/conversion.h): no number may
// differ from what a few of the same rows come to.

import { describe, expect, it } from 'vitest';
import type { Device, Tensor } from '../../lib/device/index.js';
import { float32, instructionSets, normals, openDevice } from './harness.js';

// 32 MiB and more, in rows that begin in the middle of a line of the cache.
const rows = 2100;
const columns = 4099;
const few = 70;

const operations: Readonly<Record<string, (device: Device, x: Tensor) => Tensor>> = {
  'layer norm': (device, x) => device.layerNorm(x, undefined, undefined, 1e-5),
  'RMS norm': (device, x) =>
    device.rmsNorm(x, float32(device, [columns], normals(columns, 2)), 1e-5),
  'a cast': (device, x) => device.cast(device.cast(x, 'bfloat16'), 'float32'),
};

const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) =>
  Buffer.from(buffer, byteOffset, byteLength);

describe.each(instructionSets)('%s', (instructionSet) => {
  const device = openDevice(instructionSet);
  const numbers = normals(rows * columns, 1);

  it.each(Object.entries(operations))('%s past the caches', async (_, run) => {
    const whole = await run(device, float32(device, [rows, columns], numbers)).readFloat32();
    for (let first = 0; first < rows; first += few) {
      const part = numbers.subarray(first * columns, (first + few) * columns);
      const expected = await run(device, float32(device, [few, columns], part)).readFloat32();
      const found = whole.subarray(first * columns, (first + few) * columns);
      expect(Buffer.compare(bytes(found), bytes(expected))).toBe(0);
    }
  });

  it('softmax past the caches', async () => {
    const [sequence, heads] = [1025, 8];
    const scores = normals(heads * sequence * sequence, 3);
    const softmax = (head: number, count: number) => {
      const part = scores.subarray(head * sequence ** 2, (head + count) * sequence ** 2);
      const tensor = float32(device, [count * sequence, sequence], part);
      return device.softmax(tensor, { sequence, heads: count, scale: 1 }).readFloat32();
    };
    const whole = await softmax(0, heads);
    for (let head = 0; head < heads; ++head) {
      const found = whole.subarray(head * sequence ** 2, (head + 1) * sequence ** 2);
      expect(Buffer.compare(bytes(found), bytes(await softmax(head, 1)))).toBe(0);
    }
  });
});
