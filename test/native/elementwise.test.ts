// Conversions bit for bit over all 16-bit patterns, activations within their stated bounds, and moves of elements.

import { describe, expect, it } from 'vitest';
import type { Activation, Device, Tensor } from '../../lib/device/index.js';
import {
  at,
  describeDevices,
  expectClose,
  float32,
  instructionSets,
  int32,
  normals,
  openDevice,
  patterns,
} from './harness.js';

const allPatterns = Uint16Array.from({ length: 65536 }, (_, i) => i);

/** The value of a float16 pattern. */
function halfValue(pattern: number): number {
  const [sign, exponent, mantissa] = [pattern >> 15 ? -1 : 1, (pattern >> 10) & 31, pattern & 1023];
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return exponent === 0
    ? sign * mantissa * 2 ** -24
    : sign * (1024 + mantissa) * 2 ** (exponent - 25);
}

function bfloatValue(pattern: number): number {
  return at(new Float32Array(Uint32Array.of(pattern << 16).buffer), 0);
}

async function words(tensor: Tensor): Promise<Uint16Array> {
  return new Uint16Array(await tensor.read());
}

/** Numbers half way between neighbouring positive finite patterns; the even pattern is the right answer. */
function midpoints(value: (pattern: number) => number, infinity: number) {
  const lower = Array.from({ length: infinity - 1 }, (_, i) => i);
  return {
    numbers: Float32Array.from(lower, (p) => (value(p) + value(p + 1)) / 2),
    even: Uint16Array.from(lower, (p) => p + (p & 1)),
  };
}

// Abramowitz and Stegun 7.1.6, a series of positive terms, summed until nothing changes.
function erf(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; sum + term !== sum; ++n) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const activations: Record<Exclude<Activation, 'none' | 'sigmoid'>, (x: number) => number> = {
  relu: (x) => Math.max(x, 0),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  gelu_tanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  quick_gelu: (x) => x / (1 + Math.exp(-1.702 * x)),
  silu: (x) => x / (1 + Math.exp(-x)),
  tanh: Math.tanh,
};

function conversionTests(device: Device): void {
  it.each([
    ['float16', halfValue],
    ['bfloat16', bfloatValue],
  ] as const)('reads every %s and writes it back', async (dtype, value) => {
    const tensor = patterns(device, dtype, [65536], allPatterns);
    const floats = device.cast(tensor, 'float32');
    const read = await floats.readFloat32();
    expect(read.every((x, i) => Object.is(x, value(i)))).toBe(true);
    const back = await words(device.cast(floats, dtype));
    // A NaN comes back quiet, and is still a NaN.
    expect(
      back.every((p, i) => p === i || (Number.isNaN(value(i)) && Number.isNaN(value(p)))),
    ).toBe(true);
  });

  it.each([
    ['float16', halfValue, 0x7c00],
    ['bfloat16', bfloatValue, 0x7f80],
  ] as const)('rounds ties of %s to even', async (dtype, value, infinity) => {
    const { numbers, even } = midpoints(value, infinity);
    const out = await words(device.cast(float32(device, [numbers.length], numbers), dtype));
    expect(out).toEqual(even);
  });

  it('overflows to infinity only from half a place beyond the largest', async () => {
    const x = [65504, 65519.99, 65520, -1e30, 2 ** -25, 2 ** -25 * 1.001, NaN];
    const out = await words(device.cast(float32(device, [7], x), 'float16'));
    expect([...out].slice(0, 6)).toEqual([0x7bff, 0x7bff, 0x7c00, 0xfc00, 0, 1]);
    expect(halfValue(at(out, 6))).toBeNaN();
  });

  it('casts integers and float64', async () => {
    const integers = device.cast(int32(device, [-5, 0, 16777217]), 'float64');
    expect([...(await integers.readFloat64())]).toEqual([-5, 0, 16777217]);
    const doubles = device.upload('float64', [2], Float64Array.of(0.1, -3e-50));
    expect([...(await device.cast(doubles, 'float32').readFloat32())]).toEqual([
      Math.fround(0.1),
      -0,
    ]);
    const bytes = device.upload('uint8', [3], Uint8Array.of(0, 7, 255));
    expect([...(await device.cast(bytes, 'float32').readFloat32())]).toEqual([0, 7, 255]);
  });

  it('counts NaNs and infinities', async () => {
    const x = normals(70001, 1);
    x[0] = NaN;
    x[65536] = Infinity;
    x[70000] = -Infinity;
    const tensor = float32(device, [70001], x);
    for (const dtype of ['float32', 'float16', 'bfloat16', 'float64'] as const) {
      const count = device.countNonFinite(device.cast(tensor, dtype));
      expect([...(await count.readFloat64())]).toEqual([3]);
    }
  });
}

function arithmeticTests(device: Device): void {
  it.each([1, 15, 16, 33, 70001])('sums, differences and products of %i elements', async (n) => {
    const [a, b] = [normals(n, 1), normals(n, 2)];
    const [ta, tb] = [float32(device, [n], a), float32(device, [n], b)];
    const expected = (f: (x: number, y: number) => number) => a.map((x, i) => f(x, at(b, i)));
    expectClose(
      await device.add(ta, tb).readFloat32(),
      expected((x, y) => x + y),
      0,
    );
    expectClose(
      await device.subtract(ta, tb).readFloat32(),
      expected((x, y) => x - y),
      0,
    );
    expectClose(
      await device.multiply(ta, tb).readFloat32(),
      expected((x, y) => x * y),
      0,
    );
    const third = device.scale(ta, 1 / 3);
    expectClose(
      await third.readFloat32(),
      a.map((x) => x * (1 / 3)),
      0,
    );
  });

  it.each([132, 133])('adds a row to each row of %i', async (n) => {
    const [a, b] = [normals(700 * n, 3), normals(n, 4)];
    const out = device.add(float32(device, [700, n], a), float32(device, [n], b));
    expect(await out.readFloat32()).toEqual(a.map((x, i) => x + at(b, i % n)));
  });

  it('takes rows that begin anywhere in memory', async () => {
    const [a, b] = [normals(9 * 5, 3), normals(8 * 5, 4)];
    const slice = device.sliceRows(float32(device, [9, 5], a), 1, 9);
    const out = device.multiply(slice, float32(device, [8, 5], b));
    expect(await out.readFloat32()).toEqual(b.map((x, i) => x * at(a, i + 5)));
  });

  it('soft-caps', async () => {
    const x = normals(100, 5, 40);
    const out = device.softcap(float32(device, [100], x), 30);
    expectClose(
      await out.readFloat32(),
      x.map((v) => 30 * Math.tanh(v / 30)),
      4e-6,
    );
  });

  it.each(Object.entries(activations))('%s within 2^-22 of its argument', async (name, f) => {
    const x = Float32Array.from({ length: 20001 }, (_, i) => (i - 10000) / 1000 + 1e-5);
    const out = device.activate(name as Activation, float32(device, [x.length], x));
    const error = (await out.readFloat32()).map((y, i) => Math.abs((y - f(at(x, i))) / at(x, i)));
    expect(Math.max(...error)).toBeLessThan(2 ** -22);
  });

  it('sigmoid within 2^-22, of its argument too where that is large', async () => {
    const x = Float32Array.from({ length: 20001 }, (_, i) => (i - 10000) / 250);
    const out = await device.activate('sigmoid', float32(device, [x.length], x)).readFloat32();
    const error = out.map((y, i) => {
      const expected = 1 / (1 + Math.exp(-at(x, i)));
      return Math.abs(y / expected - 1) / Math.max(1, Math.abs(at(x, i)));
    });
    expect(Math.max(...error)).toBeLessThan(2 ** -22);
    const ends = device.activate('sigmoid', float32(device, [3], [NaN, 1e4, -1e4]));
    expect([...(await ends.readFloat32())]).toEqual([NaN, 1, 0]);
  });

  it.each(Object.keys(activations))('%s keeps a NaN and survives large arguments', async (name) => {
    const out = device.activate(name as Activation, float32(device, [3], [NaN, 1e4, -1e4]));
    const [nan, high, low] = await out.readFloat32();
    expect(nan).toBeNaN();
    expect(high).toBe(name === 'tanh' ? 1 : 1e4);
    expect(low).toBeCloseTo(name === 'tanh' ? -1 : 0, 10);
  });
}

function moveTests(device: Device): void {
  const [rows, columns] = [70, 45];
  const x = Uint16Array.from({ length: rows * columns }, (_, i) => i * 7);
  const tensor = patterns(device, 'float16', [rows, columns], x);
  const cell = (row: number, column: number) => at(x, row * columns + column);

  // Tiles and squares that are whole and ones that are not, of each size of element.
  it.each([
    ['uint8', Uint8Array],
    ['float16', Uint16Array],
    ['int32', Int32Array],
    ['float64', Float64Array],
  ] as const)('transposes %s', async (dtype, Elements) => {
    const [high, wide] = [150, 275];
    const [from, to] = [new Elements(high * wide), new Elements(high * wide)];
    for (let row = 0; row < high; ++row) {
      for (let column = 0; column < wide; ++column) {
        const [here, there] = [row * wide + column, column * high + row];
        to[there] = from[here] = here * 7;
      }
    }
    const out = device.transpose(device.upload(dtype, [high, wide], from));
    expect(out.shape).toEqual([wide, high]);
    expect(new Elements(await out.read())).toEqual(to);
  });

  it('transposes what has no rows or no columns', async () => {
    for (const shape of [
      [0, 5],
      [5, 0],
    ]) {
      const out = device.transpose(device.zeros('float32', shape));
      expect(out.shape).toEqual(shape.toReversed());
      expect(await out.readFloat32()).toEqual(new Float32Array());
    }
  });

  it('selects rows and columns', async () => {
    const index = [44, 3, 0, 3];
    const picked = await words(device.selectColumns(tensor, int32(device, index)));
    expect(picked).toEqual(
      Uint16Array.from({ length: rows * 4 }, (_, i) => cell(Math.floor(i / 4), at(index, i % 4))),
    );
    const lines = await words(device.selectRows(tensor, int32(device, index)));
    expect(lines).toEqual(
      Uint16Array.from({ length: 4 * columns }, (_, i) =>
        cell(at(index, Math.floor(i / columns)), i % columns),
      ),
    );
  });

  it('selects columns of two tensors side by side', async () => {
    const values = Uint16Array.from({ length: rows * 2 }, (_, i) => 60000 + i);
    const beside = device.upload('float16', [rows, 2], values);
    const index = [45, 3, 46, 44];
    const picked = device.selectColumns(tensor, int32(device, index), beside);
    expect(picked.shape).toEqual([rows, 4]);
    expect(await words(picked)).toEqual(
      Uint16Array.from({ length: rows * 4 }, (_, i) => {
        const [row, column] = [Math.floor(i / 4), at(index, i % 4)];
        return column < 45 ? cell(row, column) : 60000 + 2 * row + column - 45;
      }),
    );
    const beyond = device.selectColumns(tensor, int32(device, [47]), beside);
    await expect(beyond.read()).rejects.toThrow('columns from 0 to 46 but received 47');
  });

  it('refuses what does not stand side by side', () => {
    const index = int32(device, [0]);
    const few = device.zeros(tensor.dtype, [rows - 1, 2]);
    expect(() => device.selectColumns(tensor, index, few)).toThrow('to have as many rows');
    const other = device.zeros('float64', [rows, 2]);
    expect(() => device.selectColumns(tensor, index, other)).toThrow('beside');
    expect(() => device.selectColumns(tensor, index, index)).toThrow('beside');
  });

  it('refuses an index out of range', async () => {
    const out = device.selectColumns(tensor, int32(device, [0, 45]));
    await expect(out.read()).rejects.toThrow(
      'Expected columns from 0 to 44 but received 45 at position 1.',
    );
  });
}

describeDevices('elementwise', instructionSets, (instructionSet) => {
  const device = openDevice(instructionSet);
  describe('conversion', () => conversionTests(device));
  describe('arithmetic', () => arithmeticTests(device));
  describe('moves', () => moveTests(device));
});
