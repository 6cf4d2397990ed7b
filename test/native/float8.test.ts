// Weights of float8_e4m3fn against the definition of each code, and products rounded as float32 and storage round them.

import { describe, expect, it } from 'vitest';
import {
  at,
  describeDevices,
  float32,
  instructionSets,
  normals,
  openDevice,
  toBfloat16,
} from './harness.js';

const f = Math.fround;

/** The OCP specification's table, row by row: sign, exponent of bias 7, three bits of mantissa. */
function float8Value(code: number): number {
  const [sign, exponent, mantissa] = [code & 0x80 ? -1 : 1, (code >> 3) & 15, code & 7];
  if (exponent === 15 && mantissa === 7) return Number.NaN;
  return (
    sign * (exponent === 0 ? mantissa / 8 : 1 + mantissa / 8) * 2 ** Math.max(exponent - 7, -6)
  );
}

describe('the definition', () => {
  it('has the extremes that the specification names', () => {
    expect([0x7e, 0x08, 0x07, 0x01, 0x80].map(float8Value)).toEqual([
      448,
      2 ** -6,
      0.875 * 2 ** -6,
      2 ** -9,
      -0,
    ]);
  });
});

describeDevices('float8', instructionSets, (kind) => {
  const device = openDevice(kind);

  it('gives every code its value', async () => {
    const codes = device.upload(
      'uint8',
      [2, 128],
      Uint8Array.from({ length: 256 }, (_, i) => i),
    );
    const scales = float32(device, [1, 1], [1]);
    const values = await device
      .dequantizeFloat8(codes, scales, 'float32', { rows: 2, cols: 128 })
      .readFloat32();
    expect([...values]).toEqual(Array.from({ length: 256 }, (_, code) => float8Value(code)));
  });

  const [rows, columns] = [37, 75];
  const drawn = Uint8Array.from(normals(rows * columns, 5, 60), (x) => Math.abs(x) % 127);
  const codes = device.upload('uint8', [rows, columns], drawn);

  it.each([
    ['blocks, the last ones cut short', 16, 32, 0],
    ['blocks that are smaller than a vector', 5, 3, 0],
    ['rows', 1, columns, 0],
    ['one for all', rows, columns, 0],
    ['rows from the middle of a block on', 16, 32, 21],
  ])('scales of %s', async (_, blockRows, blockCols, firstRow) => {
    const grid = [
      Math.ceil((firstRow + rows) / blockRows),
      Math.ceil(columns / blockCols),
    ] as const;
    const s = normals(grid[0] * grid[1], 7, 0.01);
    const expected = Array.from(drawn, (code, i) => {
      const row = firstRow + Math.floor(i / columns);
      const block = Math.floor(row / blockRows) * grid[1] + Math.floor((i % columns) / blockCols);
      return f(float8Value(code) * at(s, block));
    });
    const block = { rows: blockRows, cols: blockCols, firstRow };
    const scales = float32(device, grid, s);
    const exact = device.dequantizeFloat8(codes, scales, 'float32', block);
    expect([...(await exact.readFloat32())]).toEqual(expected);
    const stored = device.dequantizeFloat8(codes, scales, 'bfloat16', block);
    expect(stored.dtype).toBe('bfloat16');
    expect([...(await device.cast(stored, 'float32').readFloat32())]).toEqual(
      expected.map(toBfloat16),
    );
  });

  it('refuses scales of another grid', () => {
    const scales = float32(device, [3, 3], normals(9));
    expect(() =>
      device.dequantizeFloat8(codes, scales, 'bfloat16', { rows: 16, cols: 16 }),
    ).toThrow('Expected a scale for each block of 16 by 16 of [37, 75] codes but received [3, 3].');
    expect(() => device.dequantizeFloat8(codes, scales, 'bfloat16', { rows: 0, cols: 25 })).toThrow(
      'Expected blocks of one row and column at least',
    );
  });
});
