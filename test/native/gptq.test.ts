// The GPTQ sweep against its definition, column by column in float64; and equal to rounding to nearest, bit for bit,
// where the factor couples no columns.

import { describe, expect, it } from 'vitest';
import type { Device, GridOptions } from '../../lib/device/index.js';
import {
  at,
  describeDevices,
  float32,
  instructionSets,
  int32,
  normals,
  openDevice,
  plainGrid,
  roundHalfEven,
} from './harness.js';

const grid = (options: Partial<GridOptions>): GridOptions => ({ ...plainGrid, ...options });

const cases: [string, number, number, Partial<GridOptions>][] = [
  ['whole rows', 5, 40, { bits: 3 }],
  ['whole rows over several blocks', 20, 300, { bits: 3 }],
  ['groups inside a block', 33, 256, { bits: 2, groupSize: 64 }],
  ['groups that do not divide a block', 17, 288, { groupSize: 96 }],
  ['groups of more than a block', 9, 576, { groupSize: 192 }],
  ['symmetric', 9, 128, { groupSize: 32, symmetric: true }],
  ['clipping', 9, 128, { groupSize: 64, clipSteps: 20 }],
  ['8 bits, half scales', 9, 130, { bits: 8, scaleDtype: 'float16' }],
];

/** An upper triangular factor with weak coupling; `coupling` 0 is a diagonal. */
function factorOf(n: number, coupling: number): Float32Array {
  const noise = normals(n * n, 7);
  return Float32Array.from({ length: n * n }, (_, index) => {
    const [row, column] = [Math.floor(index / n), index % n];
    if (row === column) return 1 + (row % 5) / 8;
    return row < column ? coupling * at(noise, index) : 0;
  });
}

interface Result {
  codes: Uint8Array;
  scales: Float32Array;
  zeros: Float32Array;
}

async function sweep(
  device: Device,
  weight: Float32Array,
  factor: Float32Array,
  options: GridOptions,
): Promise<Result> {
  const n = Math.sqrt(factor.length);
  const result = device.gptq(
    float32(device, [weight.length / n, n], weight),
    float32(device, [n, n], factor),
    options,
  );
  return {
    codes: await result.codes.readUint8(),
    scales: await result.scales.readFloat32(),
    zeros: await result.zeros.readFloat32(),
  };
}

/**
 * The share of codes that differ from the definition's, given the sweep's own scales; each column goes on from
 * the sweep's own code, so that one rounding the other way does not spread.
 */
function disagreement(
  weight: Float32Array,
  factor: Float32Array,
  { codes, scales, zeros }: Result,
  bits: number,
  groupOf: (column: number) => number,
): number {
  const n = Math.sqrt(factor.length);
  const rows = weight.length / n;
  const groups = scales.length / rows;
  let different = 0;
  for (let row = 0; row < rows; ++row) {
    const w = Float64Array.from(weight.subarray(row * n, (row + 1) * n));
    for (let j = 0; j < n; ++j) {
      const scale = at(scales, row * groups + groupOf(j));
      const zero = at(zeros, row * groups + groupOf(j));
      const wanted = Math.min(Math.max(roundHalfEven(at(w, j) / scale) + zero, 0), 2 ** bits - 1);
      const code = at(codes, row * n + j);
      if (code !== wanted) ++different;
      const error = (at(w, j) - scale * (code - zero)) / at(factor, j * n + j);
      for (let k = j + 1; k < n; ++k) w[k] = at(w, k) - error * at(factor, j * n + k);
    }
  }
  return different / weight.length;
}

describeDevices('gptq', instructionSets, (instructionSet) => {
  it.each(cases)('%s', async (_, rows, n, options) => {
    const scheme = grid(options);
    const weight = normals(rows * n, 1);
    const factor = factorOf(n, 0.03);
    const result = await sweep(openDevice(instructionSet, 1), weight, factor, scheme);
    const size = scheme.groupSize || n;
    const groupOf = (column: number) => Math.floor(column / size);
    expect(disagreement(weight, factor, result, scheme.bits, groupOf)).toBeLessThan(2e-3);
    expect(await sweep(openDevice(instructionSet, 3), weight, factor, scheme)).toEqual(result);
  });

  it.each(cases)('is rounding to nearest without coupling: %s', async (_, rows, n, options) => {
    const scheme = grid(options);
    const weight = normals(rows * n, 1);
    const device = openDevice(instructionSet);
    const result = await sweep(device, weight, factorOf(n, 0), scheme);
    const tensor = float32(device, [rows, n], weight);
    const { scales, zeros } = device.findScales(tensor, scheme);
    expect(result.scales).toEqual(await scales.readFloat32());
    expect(result.zeros).toEqual(await zeros.readFloat32());
    const codes = device.quantize(tensor, scales, zeros, scheme.bits);
    expect(result.codes).toEqual(await codes.readUint8());
  });

  it('finds the scales of a later group on the weights as updated', async () => {
    const [rows, n, size] = [4, 128, 64];
    const weight = normals(rows * n, 1);
    const factor = factorOf(n, 0.05);
    const scheme = grid({ groupSize: size });
    const device = openDevice(instructionSet);
    const { scales } = await sweep(device, weight, factor, scheme);
    const untouched = await device
      .findScales(float32(device, [rows, n], weight), scheme)
      .scales.readFloat32();
    for (let row = 0; row < rows; ++row) {
      expect(at(scales, row * 2)).toBe(at(untouched, row * 2));
      expect(at(scales, row * 2 + 1)).not.toBe(at(untouched, row * 2 + 1));
    }
  });

  describe('with given scales', () => {
    const [rows, n, groups] = [19, 200, 4];
    const weight = normals(rows * n, 1);
    const factor = factorOf(n, 0.03);
    const groupIndex = Array.from({ length: n }, (_, column) => (column * 7) % groups);
    const given = {
      scales: normals(rows * groups, 2).map((x) => 0.2 + 0.05 * Math.abs(x)),
      zeros: new Float32Array(rows * groups).fill(7),
    };
    const run = (device: Device, index: number[]) =>
      device.gptq(
        float32(device, [rows, n], weight),
        float32(device, [n, n], factor),
        grid({ groupSize: n / groups }),
        {
          fixed: {
            scales: float32(device, [rows, groups], given.scales),
            zeros: float32(device, [rows, groups], given.zeros),
            groupIndex: int32(device, index),
          },
        },
      );

    it('uses the group of each column and leaves the scales', async () => {
      const { codes, scales } = run(openDevice(instructionSet), groupIndex);
      expect(await scales.readFloat32()).toEqual(given.scales);
      const result = { ...given, codes: await codes.readUint8() };
      const groupOf = (column: number) => at(groupIndex, column);
      expect(disagreement(weight, factor, result, 4, groupOf)).toBeLessThan(2e-3);
    });

    it('refuses a group that is not there', async () => {
      const { codes } = run(openDevice(instructionSet), groupIndex.with(5, groups));
      await expect(codes.readUint8()).rejects.toMatchObject({ code: 'ERR_SHAPE' });
    });
  });
});
