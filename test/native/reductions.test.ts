// Sums over tokens: exact where float64 is, added to what is there, and the same digits from any number of threads.

import { describe, expect, it } from 'vitest';
import {
  at,
  describeDevices,
  expectClose,
  float32,
  instructionSets,
  normals,
  openDevice,
} from './harness.js';

async function channelSum(
  instructionSet: string,
  threads: number,
  n: number,
  batches: Float32Array[],
): Promise<Float64Array> {
  const device = openDevice(instructionSet, threads);
  const sum = device.zeros('float64', [n]);
  for (const x of batches) device.channelSum(float32(device, [x.length / n, n], x), sum);
  return sum.readFloat64();
}

describeDevices('channel sum', instructionSets, (instructionSet) => {
  describe.each([1, 16, 37, 256])('%i channels', (n) => {
    it.each([1, 7, 65, 2001])('%i rows', async (rows) => {
      const x = normals(rows * n, 1, 1, 5);
      const expected = new Float64Array(n);
      x.forEach((v, i) => {
        expected[i % n] = at(expected, i % n) + v;
      });
      const sum = await channelSum(instructionSet, 1, n, [x]);
      expectClose(sum, expected, 1e-12 * rows * 10);
      expect(await channelSum(instructionSet, 3, n, [x])).toEqual(sum);
    });
  });

  it('adds up over mini-batches', async () => {
    const x = normals(300 * 24, 2);
    const whole = await channelSum(instructionSet, 2, 24, [x]);
    const parts = [x.subarray(0, 100 * 24), x.subarray(100 * 24)];
    expectClose(await channelSum(instructionSet, 2, 24, parts), whole, 1e-11);
  });

  it('keeps what float32 would lose', async () => {
    const x = new Float32Array(4096).fill(1);
    x[0] = 2 ** 30;
    expect(at(await channelSum(instructionSet, 2, 1, [x]), 0)).toBe(2 ** 30 + 4095);
  });
});
