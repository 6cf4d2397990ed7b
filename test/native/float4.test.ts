// Weights of MXFP4 against the definition of each code and scale.

import { describe, expect, it } from 'vitest';
import { describeDevices, instructionSets, normals, openDevice, toBfloat16 } from './harness.js';

/** The OCP specification: sign, two bits of exponent of bias 1, one of mantissa. */
function float4Value(code: number): number {
  const [sign, exponent, mantissa] = [code & 8 ? -1 : 1, (code >> 1) & 3, code & 1];
  return sign * (exponent === 0 ? mantissa / 2 : (1 + mantissa / 2) * 2 ** (exponent - 1));
}

const powerOf = (scale: number) => (scale === 255 ? Number.NaN : 2 ** (scale - 127));

describe('the definition', () => {
  it('has the numbers that the specification names', () => {
    const codes = Array.from({ length: 16 }, (_, code) => code);
    const magnitudes = [0, 0.5, 1, 1.5, 2, 3, 4, 6];
    expect(codes.map(float4Value)).toEqual([...magnitudes, ...magnitudes.map((x) => -x)]);
  });
});

/** Each byte has two values, the low four bits first. */
function expectedOf(codes: Uint8Array, scales: Uint8Array): number[] {
  return Array.from(codes).flatMap((byte, i) => {
    const power = powerOf(scales[Math.floor(i / 16)] ?? Number.NaN);
    return [byte & 15, byte >> 4].map((code) => Math.fround(float4Value(code) * power));
  });
}

describeDevices('float4', instructionSets, (kind) => {
  const device = openDevice(kind, 2);

  async function check(rows: number, groups: number, codes: Uint8Array, scales: Uint8Array) {
    const bytes = device.upload('uint8', [rows, 16 * groups], codes);
    const powers = device.upload('uint8', [rows, groups], scales);
    const expected = expectedOf(codes, scales);
    const exact = device.dequantizeFloat4(bytes, powers, 'float32');
    expect(exact.shape).toEqual([rows, 32 * groups]);
    expect([...(await exact.readFloat32())]).toEqual(expected);
    const stored = device.dequantizeFloat4(bytes, powers, 'bfloat16');
    expect(stored.dtype).toBe('bfloat16');
    expect([...(await device.cast(stored, 'float32').readFloat32())]).toEqual(
      expected.map(toBfloat16),
    );
  }

  it('gives every byte its two values', async () => {
    const codes = Uint8Array.from({ length: 256 }, (_, i) => i);
    await check(2, 8, codes, new Uint8Array(16).fill(127));
  });

  it('gives every scale its power of two, the last none', async () => {
    const codes = Uint8Array.from({ length: 16 * 256 }, (_, i) => 16 * (i % 16) + 1);
    await check(
      1,
      256,
      codes,
      Uint8Array.from({ length: 256 }, (_, i) => i),
    );
  });

  it.each([
    [37, 3],
    [1, 1],
    [5, 90],
    [0, 4],
  ])('%i rows of %i blocks', async (rows, groups) => {
    const drawn = normals(16 * rows * groups, 5, 60);
    const codes = Uint8Array.from(drawn, (x) => Math.abs(x) % 256);
    const scales = Uint8Array.from(normals(rows * groups, 7, 5, 120));
    await check(rows, groups, codes, scales);
  });

  it('refuses parts of blocks, and scales of another grid', () => {
    const codes = device.upload('uint8', [2, 24], new Uint8Array(48));
    const scales = device.upload('uint8', [2, 2], new Uint8Array(4));
    expect(() => device.dequantizeFloat4(codes, scales, 'bfloat16')).toThrow(
      'Expected whole blocks of 32 codes, two in a byte, but received [2, 24] bytes.',
    );
    const whole = device.upload('uint8', [2, 16], new Uint8Array(32));
    expect(() => device.dequantizeFloat4(whole, scales, 'bfloat16')).toThrow('scales');
  });
});
