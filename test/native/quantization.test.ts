// Grids, codes and values against float32 arithmetic done step by step (Math.fround), which must agree bit for bit;
// the clipping search by the error that it reaches.

import { describe, expect, it } from 'vitest';
import type { GridOptions } from '../../lib/device/index.js';
import {
  at,
  describeDevices,
  expectClose,
  float32,
  instructionSets,
  int32,
  normals,
  openDevice,
  plainGrid as plain,
  roundHalfEven,
} from './harness.js';

const f = Math.fround;

interface Grid {
  scale: number;
  zero: number;
}

function gridOf(
  values: ArrayLike<number>,
  options: { bits: number; symmetric: boolean },
  shrink = 1,
): Grid {
  let [low, high] = [0, 0];
  for (let i = 0; i < values.length; ++i) {
    low = Math.min(low, at(values, i));
    high = Math.max(high, at(values, i));
  }
  if (low === 0 && high === 0) [low, high] = [-1, 1];
  [low, high] = [f(low * f(shrink)), f(high * f(shrink))];
  const maxCode = 2 ** options.bits - 1;
  if (options.symmetric) {
    return { scale: f((2 * Math.max(-low, high)) / maxCode), zero: 2 ** (options.bits - 1) };
  }
  const scale = f(f(high - low) / maxCode);
  return { scale, zero: roundHalfEven(f(-low / scale)) };
}

function codeOf(x: number, grid: Grid, bits: number): number {
  const code = roundHalfEven(f(x / grid.scale)) + grid.zero;
  return Math.min(Math.max(code, 0), 2 ** bits - 1);
}

const restored = (code: number, grid: Grid) => f(grid.scale * (code - grid.zero));

/** Groups of a matrix's rows with their place. */
function groupsOf(w: Float32Array, columns: number, size: number) {
  return Array.from({ length: w.length / size }, (_, i) => ({
    values: w.subarray(i * size, (i + 1) * size),
    channel: (i * size) % columns,
  }));
}

const schemes: [string, GridOptions][] = [2, 3, 4, 8].flatMap((bits) =>
  [0, 32].flatMap((groupSize) =>
    [false, true].map((symmetric): [string, GridOptions] => [
      `${bits} bits, groups of ${groupSize}${symmetric ? ', symmetric' : ''}`,
      { ...plain, bits, groupSize, symmetric },
    ]),
  ),
);

describeDevices('quantization of weights', instructionSets, (instructionSet) => {
  const device = openDevice(instructionSet);
  const [rows, columns] = [6, 160];
  const w = normals(rows * columns, 1, 0.02);
  w.fill(0, 0, columns);
  w.subarray(columns, 2 * columns).forEach((x, j) => {
    w[columns + j] = Math.abs(x);
  });
  const weight = float32(device, [rows, columns], w);

  it.each(schemes)('%s, bit for bit', async (_, grid) => {
    const { scales, zeros } = device.findScales(weight, grid);
    const codes = device.quantize(weight, scales, zeros, grid.bits);
    const values = device.dequantize(codes, scales, zeros, 'float32');
    const groups = groupsOf(w, columns, grid.groupSize || columns);
    const grids = groups.map(({ values }) => gridOf(values, grid));
    expect([...(await scales.readFloat32())]).toEqual(grids.map(({ scale }) => scale));
    expect([...(await zeros.readFloat32())]).toEqual(grids.map(({ zero }) => zero));
    const expected = groups.map(({ values }, i) =>
      Array.from(values, (x) => codeOf(x, grids[i] as Grid, grid.bits)),
    );
    expect([...(await codes.readUint8())]).toEqual(expected.flat());
    const numbers = expected.flatMap((group, i) => group.map((c) => restored(c, grids[i] as Grid)));
    expectClose(await values.readFloat32(), numbers, 0);
  });

  it('zeros on a grid whose scale is 0 have code 0', async () => {
    const grid = [rows, 1];
    const codes = device.quantize(
      device.zeros('float32', [rows, columns]),
      device.zeros('float32', grid),
      float32(device, grid, new Float32Array(rows).fill(7)),
      4,
    );
    expect(await codes.readUint8()).toEqual(new Uint8Array(rows * columns));
  });

  it.each(['float16', 'bfloat16'] as const)(
    'of %s weights, with scales of that type',
    async (dtype) => {
      const stored = device.cast(weight, dtype);
      const { scales, zeros } = device.findScales(stored, {
        ...plain,
        groupSize: 16,
        scaleDtype: dtype,
      });
      const rounded = device.cast(device.cast(scales, dtype), 'float32');
      expect(await scales.readFloat32()).toEqual(await rounded.readFloat32());
      const out = device.dequantize(
        device.quantize(stored, scales, zeros, 4),
        scales,
        zeros,
        dtype,
      );
      const [values, original] = [
        await device.cast(out, 'float32').readFloat32(),
        await device.cast(stored, 'float32').readFloat32(),
      ];
      const s = await scales.readFloat32();
      // Half a step, or one where the zero was rounded against the range's end, and the storage's own rounding.
      values.forEach((v, i) => {
        expect(Math.abs(v - at(original, i))).toBeLessThanOrEqual(at(s, Math.floor(i / 16)) * 1.05);
      });
    },
  );

  it('takes the group of each column from an index', async () => {
    const { scales, zeros } = device.findScales(weight, { ...plain, groupSize: 40 });
    const order = Array.from({ length: columns }, (_, j) => (j * 77) % columns);
    const shuffled = device.selectColumns(weight, int32(device, order));
    const index = int32(
      device,
      order.map((j) => Math.floor(j / 40)),
    );
    const codes = device.quantize(shuffled, scales, zeros, 4, index);
    const straight = device.selectColumns(
      device.quantize(weight, scales, zeros, 4),
      int32(device, order),
    );
    expect(await codes.readUint8()).toEqual(await straight.readUint8());
    const values = device.dequantize(codes, scales, zeros, 'float32', index);
    const reference = device.dequantize(
      device.quantize(weight, scales, zeros, 4),
      scales,
      zeros,
      'float32',
    );
    const expected = device.selectColumns(reference, int32(device, order));
    expect(await values.readFloat32()).toEqual(await expected.readFloat32());
  });

  it('refuses a group that does not exist', async () => {
    const { scales, zeros } = device.findScales(weight, { ...plain, groupSize: 40 });
    const index = int32(device, new Int32Array(columns).fill(4));
    const codes = device.quantize(weight, scales, zeros, 4, index);
    await expect(codes.read()).rejects.toThrow('Expected groups from 0 to 3 but received 4');
  });

  it.each([false, true])(
    'clipping search finds the least error, channel weights %s',
    async (weighted) => {
      const grid: GridOptions = { ...plain, bits: 3, groupSize: 80, clipSteps: 80 };
      const m = normals(columns, 9).map(Math.abs);
      const { scales, zeros } = device.findScales(
        weight,
        grid,
        weighted ? float32(device, [columns], m) : undefined,
      );
      const [s, z] = [await scales.readFloat32(), await zeros.readFloat32()];
      groupsOf(w, columns, 80).forEach(({ values, channel }, i) => {
        const error = (trial: Grid) =>
          values.reduce((sum, x, j) => {
            const distance = Math.abs(x - restored(codeOf(x, trial, 3), trial));
            return sum + (weighted ? at(m, channel + j) : 1) * distance ** 2.4;
          }, 0);
        const trials = Array.from({ length: 80 }, (_, step) =>
          error(gridOf(values, grid, 1 - (step * 0.8) / 80)),
        );
        const reached = error({ scale: at(s, i), zero: at(z, i) });
        expect(reached).toBeLessThanOrEqual(Math.min(...trials) * (1 + 2e-5));
      });
    },
  );
});

describeDevices('fake quantization', instructionSets, (instructionSet) => {
  const device = openDevice(instructionSet);
  const [rows, columns] = [75, 96];
  const x = normals(rows * columns, 3, 1, 0.3);
  const input = float32(device, [rows, columns], x);

  async function check(
    options: Parameters<typeof device.fakeQuantize>[1],
    gridAt: (index: number) => Grid,
  ): Promise<void> {
    const sum = device.zeros('float64', [columns]);
    const out = await device.fakeQuantize(input, { ...options, channelSum: sum }).readFloat32();
    const expected = x.map((v, i) => restored(codeOf(v, gridAt(i), options.bits), gridAt(i)));
    expectClose(out, expected, 0);
    const sums = new Float64Array(columns);
    out.forEach((v, i) => {
      sums[i % columns] = at(sums, i % columns) + v;
    });
    expectClose(await sum.readFloat64(), sums, 1e-10);
  }

  describe.each([
    ['tensor', rows * columns, undefined],
    ['row', columns, undefined],
    ['group', 32, 32],
  ] as const)('per %s', (granularity, size, groupSize) => {
    it.each([
      [8, false],
      [4, false],
      [8, true],
    ])('%i bits, symmetric %s', async (bits, symmetric) => {
      const grids = groupsOf(x, columns, size).map(({ values }) =>
        gridOf(values, { bits, symmetric }),
      );
      const options = { bits, granularity, symmetric, ...(groupSize && { groupSize }) };
      await check(options, (i) => grids[Math.floor(i / size)] as Grid);
    });
  });

  it('static: one grid for all, and one per channel', async () => {
    const grid = { scale: f(0.02), zero: 120 };
    await check(
      {
        bits: 8,
        granularity: 'tensor',
        scales: float32(device, [1], [grid.scale]),
        zeros: float32(device, [1], [grid.zero]),
      },
      () => grid,
    );
    const grids = Array.from({ length: columns }, (_, j) => ({
      scale: f(0.01 * (1 + (j % 7))),
      zero: 8 + (j % 5),
    }));
    await check(
      {
        bits: 4,
        granularity: 'tensor',
        scales: float32(
          device,
          [columns],
          grids.map(({ scale }) => scale),
        ),
        zeros: float32(
          device,
          [columns],
          grids.map(({ zero }) => zero),
        ),
      },
      (i) => grids[i % columns] as Grid,
    );
  });

  it.each([1500, 2501])('a row of %i', async (n) => {
    const long = normals(3 * n, 5);
    const options = { bits: 8, symmetric: false };
    const out = device.fakeQuantize(float32(device, [3, n], long), {
      ...options,
      granularity: 'row',
    });
    const grids = groupsOf(long, n, n).map(({ values }) => gridOf(values, options));
    const gridAt = (i: number) => grids[Math.floor(i / n)] as Grid;
    const expected = long.map((v, i) => restored(codeOf(v, gridAt(i), 8), gridAt(i)));
    expectClose(await out.readFloat32(), expected, 0);
  });

  it('keeps a NaN', async () => {
    const nan = float32(device, [2, 2], [1, NaN, 2, 3]);
    const out = await device.fakeQuantize(nan, { bits: 8, granularity: 'row' }).readFloat32();
    expect([...out].map(Number.isNaN)).toEqual([false, true, false, false]);
  });
});
