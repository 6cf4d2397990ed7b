// The best scales of each row for given codes: one to a row against the least-squares solution in float64, those of groups
// by the error that is left of what the best ones would take off; and against every way in which a refit is to keep off.

import { expect, it } from 'vitest';
import type { Device, DType } from '../../lib/device/index.js';
import {
  algebraKinds,
  at,
  commonMoment,
  dampedForm,
  describeDevices,
  float32,
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
function problem(rows: number, columns: number, groups = 1): Rows {
  const weight = normals(rows * columns, 1, 0.1).map(toBfloat16);
  const matrix = commonMoment(columns);
  const scales = Float32Array.from({ length: rows * groups }, (_, o) => 0.09 + 0.01 * (o % 3));
  const zeros = Float32Array.from({ length: rows * groups }, (_, o) => 3 + (o % 2));
  const codes = Uint8Array.from(weight, (w, i) => {
    const o = Math.floor((i * groups) / columns);
    return Math.min(Math.max(Math.round(w / at(scales, o) + at(zeros, o)), 0), 7);
  });
  return { rows, columns, weight, matrix, codes, scales, zeros };
}

/** u of a row in each of its groups, zero elsewhere. */
function unitsOf(p: Rows, row: number): Float64Array[] {
  const groups = p.scales.length / p.rows;
  const size = p.columns / groups;
  return Array.from({ length: groups }, (_, g) =>
    Float64Array.from({ length: p.columns }, (_, j) =>
      Math.floor(j / size) === g
        ? at(p.codes, row * p.columns + j) - at(p.zeros, row * groups + g)
        : 0,
    ),
  );
}

/** The row's error at these scales. */
function errorOf(p: Rows, row: number, damping: number, scales: ArrayLike<number>): number {
  const units = unitsOf(p, row);
  const delta = Float64Array.from({ length: p.columns }, (_, j) =>
    units.reduce(
      (left, u, g) => left - at(u, j) * (scales[g] ?? 0),
      at(p.weight, row * p.columns + j),
    ),
  );
  return dampedForm(p.matrix, damping, delta, delta);
}

/** The scales of least error: the normal equations by elimination. */
function bestScales(p: Rows, row: number, damping: number): number[] {
  const units = unitsOf(p, row);
  const weight = Float64Array.from(p.weight.subarray(row * p.columns, (row + 1) * p.columns));
  const system = units.map((u) => [
    ...units.map((v) => dampedForm(p.matrix, damping, u, v)),
    dampedForm(p.matrix, damping, u, weight),
  ]);
  for (const [i, pivot] of system.entries()) {
    for (const [k, equation] of system.entries()) {
      if (k === i) continue;
      const factor = at(equation, i) / at(pivot, i);
      pivot.forEach((value, j) => {
        equation[j] = at(equation, j) - factor * value;
      });
    }
  }
  return system.map((equation, i) => at(equation, system.length) / at(equation, i));
}

async function refitted(
  device: Device,
  p: Rows,
  options: { scaleDtype?: DType; damping?: number; weightDtype?: DType } = {},
): Promise<Float32Array> {
  const { rows, columns } = p;
  const groups = p.scales.length / rows;
  const scales = device.refitScales(
    device.cast(float32(device, [rows, columns], p.weight), options.weightDtype ?? 'float32'),
    float32(device, [columns, columns], p.matrix),
    {
      codes: device.upload('uint8', [rows, columns], p.codes),
      scales: float32(device, [rows, groups], p.scales),
      zeros: float32(device, [rows, groups], p.zeros),
    },
    { scaleDtype: options.scaleDtype ?? 'float32', damping: options.damping ?? 0 },
  );
  return scales.readFloat32();
}

describeDevices('refit of scales', algebraKinds, (kind) => {
  const device = openDevice(kind);

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
        const before = at(p.scales, o);
        const [best = Number.NaN] = bestScales(p, o, damping);
        // NaN where all codes are zero.
        const expected = Number.isNaN(best)
          ? before
          : Math.min(Math.max(best, before / 2), 2 * before);
        expect(Math.abs(at(scales, o) / expected - 1)).toBeLessThan(2e-6);
      }
    },
  );

  // Groups inside a block of the product's columns, across several, and both.
  it.each([
    [3, 40, 8, 0, 'float32'],
    [19, 132, 33, 0.01, 'float32'],
    [19, 132, 33, 0.01, 'bfloat16'],
    [2, 520, 65, 0.01, 'float32'],
    [2, 600, 300, 0, 'float32'],
    [2, 600, 300, 0, 'bfloat16'],
    [2, 300, 12, 0.01, 'float32'],
  ] as const)(
    '%i rows of %i columns in groups of %i, damping %d, %s: next to nothing is left to take off',
    async (rows, columns, size, damping, precision) => {
      const groups = columns / size;
      const p = problem(rows, columns, groups);
      const scales = await refitted(openDevice(kind, 2, precision), p, { damping });
      let [before, least, after] = [0, 0, 0];
      for (let o = 0; o < rows; ++o) {
        const own = (all: Float32Array) => all.subarray(o * groups, (o + 1) * groups);
        before += errorOf(p, o, damping, own(p.scales));
        least += errorOf(p, o, damping, bestScales(p, o, damping));
        after += errorOf(p, o, damping, own(scales));
      }
      expect(before).toBeGreaterThan(1.02 * least);
      expect(after - least).toBeLessThan(1e-3 * (before - least));
    },
  );

  it('no number of threads changes a digit', async () => {
    const p = problem(70, 600, 4);
    const first = await refitted(openDevice(kind, 1), p);
    expect(await refitted(openDevice(kind, 3), p)).toEqual(first);
  });

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

  it('refuses scales whose groups do not divide the columns', () => {
    const matrix = float32(device, [4, 4], new Float32Array(16));
    const groups = float32(device, [2, 3], new Float32Array(6).fill(1));
    const codes = device.upload('uint8', [2, 4], new Uint8Array(8));
    const weight = float32(device, [2, 4], new Float32Array(8));
    const found = { codes, scales: groups, zeros: groups };
    const options = { scaleDtype: 'float32', damping: 0 } as const;
    expect(() => device.refitScales(weight, matrix, found, options)).toThrow('divide');
  });
});
