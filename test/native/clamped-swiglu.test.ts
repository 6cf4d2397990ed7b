// Clamped gates against float64, over limits, slopes, widths and both types of results.

import { expect, it } from 'vitest';
import {
  at,
  describeDevices,
  float32,
  instructionSets,
  normals,
  openDevice,
  toBfloat16,
} from './harness.js';

function expectedOf(x: Float32Array, slope: number, limit: number): number[] {
  return Array.from({ length: x.length / 2 }, (_, i) => {
    const gate = Math.min(at(x, 2 * i), limit);
    const up = Math.max(Math.min(at(x, 2 * i + 1), limit), -limit);
    return ((up + 1) * gate) / (1 + Math.exp(-slope * gate));
  });
}

describeDevices('clamped gates', instructionSets, (kind) => {
  const device = openDevice(kind, 2);

  it.each([
    [1, 1, 1.702, 7],
    [5, 33, 1.702, 7],
    [70, 129, 1.3, 1],
    [3, 2880, 1.702, 7],
    [2, 16, 0.5, 0.25],
  ])('[%i, 2 · %i], slope %d, limit %d', async (rows, channels, slope, limit) => {
    const values = normals(2 * rows * channels, rows + channels, limit);
    const x = float32(device, [rows, 2 * channels], values);
    const out = device.clampedSwiglu(x, { slope, limit });
    expect(out.shape).toEqual([rows, channels]);
    const found = await out.readFloat32();
    const rounded = device.clampedSwiglu(x, { slope, limit, dtype: 'bfloat16' });
    expect(rounded.dtype).toBe('bfloat16');
    const stored = await device.cast(rounded, 'float32').readFloat32();
    for (const [i, expected] of expectedOf(values, slope, limit).entries()) {
      // The exponential is some |z| units of the last place off, the sum behind it one of the larger of both.
      const factor = Math.abs(at(values, 2 * i + 1)) + 1;
      const bound = 2 ** -21 * (Math.abs(expected) + factor * 2 ** -3);
      expect(Math.abs(at(found, i) - expected)).toBeLessThan(bound);
      expect(at(stored, i)).toBe(toBfloat16(at(found, i)));
    }
  });

  it('keeps to the limits, vanishes far below and keeps what is not a number', async () => {
    const nan = Number.NaN;
    const pairs = [100, 3, 7, 3, -1000, 50, 2, -100, 2, -7, nan, 0, 1, nan, 1, -1];
    const x = float32(device, [1, pairs.length], pairs);
    const out = [...(await device.clampedSwiglu(x, { slope: 1.702, limit: 7 }).readFloat32())];
    expect(out[0]).toBe(out[1]);
    expect(Math.abs(out[2] ?? nan)).toBeLessThan(1e-30);
    expect(out[3]).toBe(out[4]);
    expect(out.slice(5, 7)).toEqual([nan, nan]);
    expect(out[7]).toBe(0);
  });

  it('refuses channels that are no pairs, and a limit of nothing', () => {
    const odd = float32(device, [2, 3], normals(6));
    expect(() => device.clampedSwiglu(odd, { slope: 1, limit: 1 })).toThrow(
      'Expected an even number of channels but received 3.',
    );
    const even = float32(device, [3, 2], normals(6));
    expect(() => device.clampedSwiglu(even, { slope: 1, limit: 0 })).toThrow('a limit above 0');
  });
});
