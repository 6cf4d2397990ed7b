// Sums of outer products, moments about a centre, matrix-vector products and quadratic forms: against float64 loops,
// and by the properties that statistics rely on.

import { expect, it } from 'vitest';
import type { Device, Precision } from '../../lib/device/index.js';
import {
  at,
  describeDevices,
  dot,
  expectClose,
  float32,
  lossOf,
  normals,
  openDevice,
  productKinds,
  toBfloat16,
} from './harness.js';

interface Case {
  tokens: number;
  cx: number;
  /** 0: symmetric, of x alone. */
  cy: number;
  shift: boolean;
}

const cases: [string, Case][] = [
  ['one token', { tokens: 1, cx: 5, cy: 0, shift: false }],
  ['symmetric', { tokens: 40, cx: 100, cy: 0, shift: false }],
  ['symmetric, shifted', { tokens: 600, cx: 65, cy: 0, shift: true }],
  ['symmetric, several tiles', { tokens: 20, cx: 300, cy: 0, shift: false }],
  ['symmetric, several bands of tiles', { tokens: 3, cx: 1160, cy: 0, shift: false }],
  ['two tensors', { tokens: 33, cx: 50, cy: 70, shift: false }],
  ['two tensors, shifted', { tokens: 1100, cx: 17, cy: 33, shift: true }],
];

const operandsOf = (c: Case) => ({
  x: normals(c.tokens * c.cx, 1, 1, 3),
  y: normals(c.tokens * c.cy, 2, 1, -2),
  shiftX: normals(c.cx, 3, 0.1, 3),
  shiftY: normals(c.cy, 4, 0.1, -2),
});

async function secondMoment(
  c: Case,
  device: Device,
  { x, y, shiftX, shiftY }: ReturnType<typeof operandsOf>,
  batches = 1,
): Promise<Float32Array> {
  const sum = device.zeros('float32', [c.cx, c.cy || c.cx]);
  const tokens = c.tokens / batches;
  const part = (data: Float32Array, width: number, batch: number) =>
    float32(
      device,
      [tokens, width],
      data.subarray(batch * tokens * width, (batch + 1) * tokens * width),
    );
  for (let batch = 0; batch < batches; ++batch) {
    device.secondMoment(part(x, c.cx, batch), sum, {
      y: c.cy ? part(y, c.cy, batch) : undefined,
      shiftX: c.shift ? float32(device, [c.cx], shiftX) : undefined,
      shiftY: c.shift && c.cy ? float32(device, [c.cy], shiftY) : undefined,
    });
  }
  return sum.readFloat32();
}

function reference(c: Case, { x, y, shiftX, shiftY }: ReturnType<typeof operandsOf>): Float64Array {
  const width = c.cy || c.cx;
  const sum = new Float64Array(c.cx * width);
  const centred = (data: Float32Array, shift: Float32Array, width: number, t: number) =>
    Float64Array.from({ length: width }, (_, i) => {
      return at(data, t * width + i) - (c.shift ? at(shift, i) : 0);
    });
  for (let t = 0; t < c.tokens; ++t) {
    const left = centred(x, shiftX, c.cx, t);
    const right = c.cy ? centred(y, shiftY, c.cy, t) : left;
    for (let i = 0; i < c.cx; ++i) {
      addMultiple(sum.subarray(i * width, (i + 1) * width), at(left, i), right, c.cy ? 0 : i);
    }
  }
  return sum;
}

/** row += factor · values, from this channel on; a loop of its own, on one type of array, since the reference is made of it. */
function addMultiple(row: Float64Array, factor: number, values: Float64Array, from: number): void {
  for (let j = from; j < row.length; ++j) {
    row[j] = (row[j] ?? Number.NaN) + factor * (values[j] ?? Number.NaN);
  }
}

describeDevices('second moment', productKinds, (instructionSet) => {
  it.each(cases)('%s', async (_, c) => {
    const operands = operandsOf(c);
    const sum = await secondMoment(c, openDevice(instructionSet, 1), operands);
    const largest = c.tokens * (c.shift ? 1 : 9);
    // Below the diagonal of a symmetric sum nothing is written: the reference has zeros there too.
    expectClose(sum, reference(c, operands), lossOf(instructionSet) * 4e-6 * largest);
    expect(await secondMoment(c, openDevice(instructionSet, 3), operands)).toEqual(sum);
  });

  it('does not depend on mini-batches beyond rounding', async () => {
    const c: Case = { tokens: 512, cx: 48, cy: 0, shift: true };
    const operands = operandsOf(c);
    const whole = await secondMoment(c, openDevice(instructionSet), operands);
    expectClose(await secondMoment(c, openDevice(instructionSet), operands, 8), whole, 1e-3);
  });

  it('rounds the operands of bfloat16 products, not their sums', async () => {
    const c: Case = { tokens: 700, cx: 40, cy: 0, shift: true };
    const operands = operandsOf(c);
    const precision: Precision = 'bfloat16';
    const sum = await secondMoment(c, openDevice(instructionSet, 2, precision), operands);
    const expected = reference(c, operands);
    for (let i = 0; i < c.cx; ++i) {
      const diagonal = i * c.cx + i;
      expect(Math.abs(at(sum, diagonal) / at(expected, diagonal) - 1)).toBeLessThan(1e-3);
    }
  });

  it('adds up bfloat16 products of many channels', async () => {
    const c: Case = { tokens: 16, cx: 1148, cy: 0, shift: false };
    const x = operandsOf(c).x.map(toBfloat16);
    const operands = { ...operandsOf(c), x };
    const sum = await secondMoment(c, openDevice(instructionSet, 2, 'bfloat16'), operands);
    expectClose(sum, reference(c, operands), 4e-6 * 9 * c.tokens);
  });

  it.skipIf(instructionSet.startsWith('cuda')).each<Precision>(['float32', 'bfloat16'])(
    'is exact where numbers are whole, with more channels than are packed at once: %s',
    async (precision) => {
      const [tokens, channels] = [2, 4170];
      const x = Float32Array.from({ length: tokens * channels }, (_, i) => ((i * 7) % 13) - 6);
      const device = openDevice(instructionSet, 2, precision);
      const sum = device.zeros('float32', [channels, channels]);
      device.secondMoment(float32(device, [tokens, channels], x), sum);
      const found = await sum.readFloat32();
      let wrong = 0;
      const [first, second] = [x.subarray(0, channels), x.subarray(channels)];
      for (let i = 0; i < channels; ++i) {
        const [a, b, row] = [at(first, i), at(second, i), found.subarray(i * channels)];
        for (let j = i; j < channels; ++j) {
          const exact = a * (first[j] ?? Number.NaN) + b * (second[j] ?? Number.NaN);
          if (row[j] !== exact) ++wrong;
        }
      }
      expect(wrong).toBe(0);
    },
  );

  it.each([
    ['second', false],
    ['centred', true],
  ])('finds the %s moment from shifted sums', async (_, centred) => {
    const c: Case = { tokens: 300, cx: 70, cy: 0, shift: true };
    const operands = operandsOf(c);
    const device = openDevice(instructionSet);
    const sum = device.upload('float32', [c.cx, c.cx], await secondMoment(c, device, operands));
    const totals = device.zeros('float64', [c.cx]);
    device.channelSum(float32(device, [c.tokens, c.cx], operands.x), totals);
    const mean = (await totals.readFloat64()).map((total) => total / c.tokens);
    const meanTensor = device.upload('float64', [c.cx], mean);
    const shiftX = float32(device, [c.cx], operands.shiftX);
    const options = { count: c.tokens, centred, symmetric: true, shiftX, shiftY: shiftX };
    const moment = await device.moment(sum, meanTensor, meanTensor, options).readFloat32();
    const exact = reference({ ...c, shift: false }, operands);
    for (let i = 0; i < c.cx; ++i) {
      for (let j = i; j < c.cx; ++j) {
        const second = at(exact, i * c.cx + j) / c.tokens;
        const expected = centred ? second - at(mean, i) * at(mean, j) : second;
        expect(Math.abs(at(moment, i * c.cx + j) - expected)).toBeLessThan(2e-5);
        expect(at(moment, j * c.cx + i)).toBe(at(moment, i * c.cx + j));
      }
    }
  });

  it.each([
    [3, 5],
    [530, 37],
    [20, 2100],
  ])('weight [%i, %i] times vector, in float64', async (rows, columns) => {
    const device = openDevice(instructionSet);
    const weight = normals(rows * columns, 1).map((w) => Math.round(w * 16) / 16);
    const vector = Float64Array.from(normals(columns, 2));
    const expected = Float64Array.from({ length: rows }, (_, i) =>
      vector.reduce((sum, v, j) => sum + v * at(weight, i * columns + j), 0),
    );
    const operand = device.upload('float64', [columns], vector);
    for (const dtype of ['float32', 'float16', 'bfloat16'] as const) {
      const typed = device.cast(float32(device, [rows, columns], weight), dtype);
      expectClose(await device.matvec(typed, operand).readFloat64(), expected, 1e-12 * columns);
    }
  });

  it.each([
    [1, 1, 'float32'],
    [600, 33, 'float32'],
    [7, 130, 'float32'],
    [1, 1100, 'float32'],
    [40, 300, 'bfloat16'],
  ] as const)('quadratic forms of [%i, %i], of numbers of %s', async (rows, n, numbers) => {
    const device = openDevice(instructionSet);
    const [other, matrix] = [normals(rows * n, 2), normals(n * n, 3)];
    const rounded = device.cast(float32(device, [rows, n], normals(rows * n, 1)), numbers);
    const d = device.cast(rounded, 'float32');
    const delta = await d.readFloat32();
    const symmetric = matrix.map((_, k) => {
      const [i, j] = [Math.floor(k / n), k % n];
      return at(matrix, Math.min(i, j) * n + Math.max(i, j));
    });
    const form = (middle: Float32Array, right: Float32Array, left = delta) => {
      const [m, r] = [Float64Array.from(middle), Float64Array.from(right)];
      return Float64Array.from({ length: rows }, (_, o) => {
        const own = r.subarray(o * n, (o + 1) * n);
        let sum = 0;
        for (let i = 0; i < n; ++i) {
          sum += at(left, o * n + i) * dot(m.subarray(i * n, (i + 1) * n), own);
        }
        return sum;
      });
    };
    const o = float32(device, [rows, n], other);
    const [m, s] = [float32(device, [n, n], matrix), float32(device, [n, n], symmetric)];
    const [own, mixed] = [device.quadraticForm(d, s), device.quadraticForm(d, m, { other: o })];
    expectClose(await own.readFloat64(), form(symmetric, delta), 1e-5 * n);
    expectClose(await mixed.readFloat64(), form(matrix, other), 1e-5 * n);
    const [few, others] = [{ precision: 'bfloat16' }, { precision: 'bfloat16', other: o }] as const;
    const coarse = device.quadraticForm(d, s, few);
    const coarseMixed = device.quadraticForm(d, m, others);
    // The product's two factors are rounded, `other` is not, nor is delta where it meets the product.
    const half = (values: Float32Array) => values.map(toBfloat16);
    const deltas = half(delta);
    const most = form(symmetric.map(Math.abs), delta.map(Math.abs), delta.map(Math.abs));
    const exact = form(symmetric, delta);
    (await coarse.readFloat64()).forEach((value, o) => {
      expect(Math.abs(value - at(exact, o))).toBeLessThan(2 ** -7 * at(most, o));
    });
    expectClose(await coarseMixed.readFloat64(), form(half(matrix), other, deltas), 1e-5 * n);
    const parts = device.quadraticForm(d, s, { precision: 'bfloat16x3' });
    (await parts.readFloat64()).forEach((value, o) => {
      expect(Math.abs(value - at(exact, o))).toBeLessThan((2 ** -15 + n * 2 ** -24) * at(most, o));
    });
  });
});
