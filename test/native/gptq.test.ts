// The GPTQ sweep, which has no inverse of its factor, against the published one, which does, column by column in float64;
// and equal to rounding to nearest, bit for bit, where the factor couples no columns.

import { describe, expect, it } from 'vitest';
import type { Device, GridOptions } from '../../lib/device/index.js';
import {
  algebraKinds,
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

/** What scales may be off by: a step of the clipping search, which takes the other of two that are as good, or rounding. */
const scaleTolerance = ({ clipSteps, scaleDtype }: GridOptions) =>
  clipSteps > 0 ? 1.5 / clipSteps : scaleDtype === 'float16' ? 2 ** -9 : 2e-5;

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

/** R⁻¹, in float64. */
function inverseOf(factor: Float32Array): Float64Array {
  const n = Math.sqrt(factor.length);
  const inverse = new Float64Array(n * n);
  for (let i = n - 1; i >= 0; --i) {
    inverse[i * n + i] = 1;
    for (let k = i + 1; k < n; ++k) {
      const r = at(factor, i * n + k);
      for (let j = k; j < n; ++j) {
        inverse[i * n + j] = at(inverse, i * n + j) - r * at(inverse, k * n + j);
      }
    }
    for (let j = i; j < n; ++j) {
      inverse[i * n + j] = at(inverse, i * n + j) / at(factor, i * (n + 1));
    }
  }
  return inverse;
}

/**
 * The sweep as published, with U = R⁻¹ and the scales that were found: the share of codes that differ from it, each column
 * going on from the code that was found, so that one rounding the other way does not spread; and the weights as they are when
 * their group begins.
 */
function published(
  weight: Float32Array,
  factor: Float32Array,
  { codes, scales, zeros }: Result,
  bits: number,
  groupOf: (column: number) => number,
): { disagreement: number; begun: Float32Array } {
  const n = Math.sqrt(factor.length);
  const inverse = inverseOf(factor);
  const rows = weight.length / n;
  const groups = scales.length / rows;
  const begun = new Float32Array(weight.length);
  let different = 0;
  for (let row = 0; row < rows; ++row) {
    const w = Float64Array.from(weight.subarray(row * n, (row + 1) * n));
    for (let j = 0; j < n; ++j) {
      if (j === 0 || groupOf(j) !== groupOf(j - 1)) begun.set(w.subarray(j), row * n + j);
      const scale = at(scales, row * groups + groupOf(j));
      const zero = at(zeros, row * groups + groupOf(j));
      const wanted = Math.min(Math.max(roundHalfEven(at(w, j) / scale) + zero, 0), 2 ** bits - 1);
      const code = at(codes, row * n + j);
      if (code !== wanted) ++different;
      const error = (at(w, j) - scale * (code - zero)) / at(inverse, j * n + j);
      for (let k = j + 1; k < n; ++k) w[k] = at(w, k) - error * at(inverse, j * n + k);
    }
  }
  return { disagreement: different / weight.length, begun };
}

describeDevices('gptq of bfloat16', algebraKinds, (kind) => {
  it.each(cases)('carries two parts of each number: %s', async (_, rows, n, options) => {
    const scheme = grid(options);
    const weight = normals(rows * n, 1);
    const factor = factorOf(n, 0.03);
    const result = await sweep(openDevice(kind, 2, 'bfloat16'), weight, factor, scheme);
    const groupOf = (column: number) => Math.floor(column / (scheme.groupSize || n));
    const { disagreement } = published(weight, factor, result, scheme.bits, groupOf);
    expect(disagreement).toBeLessThan(2e-3);
  });
});

describeDevices('gptq', instructionSets, (instructionSet) => {
  it.each(cases)('%s', async (_, rows, n, options) => {
    const scheme = grid(options);
    const weight = normals(rows * n, 1);
    const factor = factorOf(n, 0.03);
    const result = await sweep(openDevice(instructionSet, 1), weight, factor, scheme);
    const size = scheme.groupSize || n;
    const groupOf = (column: number) => Math.floor(column / size);
    const { disagreement, begun } = published(weight, factor, result, scheme.bits, groupOf);
    expect(disagreement).toBeLessThan(2e-3);
    expect(await sweep(openDevice(instructionSet, 3), weight, factor, scheme)).toEqual(result);
    // Scales are those of the weights as updated when a group begins.
    const device = openDevice(instructionSet);
    const { scales } = device.findScales(float32(device, [rows, n], begun), scheme);
    (await scales.readFloat32()).forEach((scale, i) => {
      expect(Math.abs(at(result.scales, i) / scale - 1)).toBeLessThan(scaleTolerance(scheme));
    });
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
      expect(published(weight, factor, result, 4, groupOf).disagreement).toBeLessThan(2e-3);
    });

    it('refuses a group that is not there', async () => {
      const { codes } = run(openDevice(instructionSet), groupIndex.with(5, groups));
      await expect(codes.readUint8()).rejects.toMatchObject({ code: 'ERR_SHAPE' });
    });
  });
});
