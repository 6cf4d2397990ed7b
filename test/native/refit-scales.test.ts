// The best scale of each row for given codes: against the least-squares solution in float64, and against every way in
// which a refit is to keep off.

import { expect, it } from 'vitest';
import type { Device, DType } from '../../lib/device/index.js';
import {
  at,
  describeDevices,
  float32,
  instructionSets,
  momentOf,
  normals,
  openDevice,
  toBfloat16,
} from './harness.js';

interface Rows {
  readonly rows: number;
  readonly columns: number;
  readonly weight: Float32Array;
  readonly matrix: Float32Array;
  readonly codes: Uint8Array;
  readonly scales: Float32Array;
  readonly zeros: Float32Array;
}

/** Three-bit codes of a grid somewhat too wide, and the moment of inputs that have something in common. */
function problem(rows: number, columns: number): Rows {
  const weight = normals(rows * columns, 1, 0.1).map(toBfloat16);
  const samples = columns + 8;
  const shared = normals(samples, 3);
  const x = normals(samples * columns, 2).map((v, i) => v + at(shared, i % samples));
  const matrix = momentOf(x, columns);
  const scales = Float32Array.from({ length: rows }, (_, o) => 0.09 + 0.01 * (o % 3));
  const zeros = Float32Array.from({ length: rows }, (_, o) => 3 + (o % 2));
  const codes = Uint8Array.from(weight, (w, i) => {
    const o = Math.floor(i / columns);
    return Math.min(Math.max(Math.round(w / at(scales, o) + at(zeros, o)), 0), 7);
  });
  return { rows, columns, weight, matrix, codes, scales, zeros };
}

/** u M wᵀ and u M uᵀ of a row, M damped. */
function sumsOf(p: Rows, row: number, damping: number): { weight: number; units: number } {
  let diagonal = 0;
  for (let j = 0; j < p.columns; ++j) diagonal += at(p.matrix, j * (p.columns + 1)) / p.columns;
  const unit = (j: number) => at(p.codes, row * p.columns + j) - at(p.zeros, row);
  let weight = 0;
  let units = 0;
  for (let i = 0; i < p.columns; ++i) {
    let product = damping * diagonal * unit(i);
    for (let j = 0; j < p.columns; ++j) product += unit(j) * at(p.matrix, i * p.columns + j);
    weight += product * at(p.weight, row * p.columns + i);
    units += product * unit(i);
  }
  return { weight, units };
}

async function refitted(
  device: Device,
  p: Rows,
  options: { scaleDtype?: DType; damping?: number; weightDtype?: DType } = {},
): Promise<Float32Array> {
  const { rows, columns } = p;
  const scales = device.refitScales(
    device.cast(float32(device, [rows, columns], p.weight), options.weightDtype ?? 'float32'),
    float32(device, [columns, columns], p.matrix),
    {
      codes: device.upload('uint8', [rows, columns], p.codes),
      scales: float32(device, [rows, 1], p.scales),
      zeros: float32(device, [rows, 1], p.zeros),
    },
    { scaleDtype: options.scaleDtype ?? 'float32', damping: options.damping ?? 0 },
  );
  return scales.readFloat32();
}

describeDevices('refit of row scales', instructionSets, (instructionSet) => {
  const device = openDevice(instructionSet);

  it.each([
    [1, 1, 0],
    [5, 40, 0],
    [19, 130, 0.01],
    [70, 33, 0.1],
  ])(
    '%i rows of %i columns, damping %d: the least-squares scale',
    async (rows, columns, damping) => {
      const p = problem(rows, columns);
      const scales = await refitted(device, p, { damping });
      for (let o = 0; o < rows; ++o) {
        const { weight, units } = sumsOf(p, o, damping);
        const best = units > 0 ? weight / units : at(p.scales, o);
        const expected = Math.min(Math.max(best, at(p.scales, o) / 2), 2 * at(p.scales, o));
        expect(Math.abs(at(scales, o) / expected - 1)).toBeLessThan(2e-6);
      }
    },
  );

  it('weights of fewer bits are read as they are', async () => {
    const p = problem(7, 50);
    expect(await refitted(device, p, { weightDtype: 'bfloat16' })).toEqual(
      await refitted(device, p),
    );
  });

  it('scales are rounded to their dtype, and stay where that would not pay', async () => {
    const p = problem(40, 60);
    const once = await refitted(device, p, { scaleDtype: 'bfloat16' });
    expect(once).toEqual(once.map(toBfloat16));
    expect(await refitted(device, { ...p, scales: once }, { scaleDtype: 'bfloat16' })).toEqual(
      once,
    );
  });

  it('moves a scale by a factor of two at most', async () => {
    const p = problem(4, 30);
    for (const factor of [0.1, 10]) {
      const from = p.scales.map((scale) => scale * factor);
      const scales = await refitted(device, { ...p, scales: from });
      scales.forEach((scale, o) => {
        expect(scale).toBe(Math.fround(at(from, o) * (factor > 1 ? 0.5 : 2)));
      });
    }
  });

  it('codes that are all zero leave their scale alone', async () => {
    const p = problem(3, 20);
    const codes = Uint8Array.from(p.codes, (_, i) => at(p.zeros, Math.floor(i / 20)));
    expect(await refitted(device, { ...p, codes })).toEqual(p.scales);
  });

  it('refuses groups', () => {
    const matrix = float32(device, [4, 4], new Float32Array(16));
    const groups = float32(device, [2, 2], new Float32Array(4).fill(1));
    const codes = device.upload('uint8', [2, 4], new Uint8Array(8));
    const weight = float32(device, [2, 4], new Float32Array(8));
    expect(() =>
      device.refitScales(
        weight,
        matrix,
        { codes, scales: groups, zeros: groups },
        {
          scaleDtype: 'float32',
          damping: 0,
        },
      ),
    ).toThrow('[2, 1]');
  });
});
