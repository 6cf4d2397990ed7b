// 16-bit floats in host memory against the device's conversions.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Device } from '../../lib/device/index.js';
import { normals } from '../native/harness.js';
import { encodeFloats, float16Bits, float16Value } from './half-precision.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

it('reads and writes every float16 unchanged', () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = float16Value(bits);
    if (Number.isNaN(value)) expect(Number.isNaN(float16Value(float16Bits(value)))).toBe(true);
    else expect(float16Bits(value)).toBe(bits);
  }
});

describe.each(['float16', 'bfloat16'] as const)('%s', (dtype) => {
  it('rounds as the device does, from denormals to overflow', async () => {
    const scales = [1, 1e-4, 1e-6, 6e-8, 1e-9, 1e3, 4e4];
    const values = Float32Array.from([
      ...scales.flatMap((scale, i) => [...normals(2000, i + 1, scale)]),
      ...[65504, 65519.99, 65520, -65520, 2 ** -24, 2 ** -25, 3 * 2 ** -25, 2 ** -14, 0, -0],
      // Halfway between neighbours: to the even one.
      ...[1 + 2 ** -11, 1 + 3 * 2 ** -11, 1 + 2 ** -8, 1 + 3 * 2 ** -8],
    ]);
    using source = device.upload('float32', [values.length], values);
    using rounded = device.cast(source, dtype);
    const expected = new Uint8Array(await rounded.read());
    expect(Buffer.from(encodeFloats(values, dtype)).equals(expected)).toBe(true);
  });
});
