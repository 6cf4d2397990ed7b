// What products alone read may be bfloat16 (native/backend/params.h). A result of that type is the float32 one, rounded
// once, and an operand of it gives the digits of a float32 one that holds the same numbers: both bit for bit.

import { describe, expect, it } from 'vitest';
import type { Device, DType, OperandType, Tensor } from '../../lib/device/index.js';
import type { MatmulOptions } from '../../lib/device/operation-options.js';
import { biases, type Case, plain, sinksOf, slopes } from './attention-reference.js';
import {
  describeDevices,
  expectClose,
  float32,
  instructionSets,
  int32,
  normals,
  openDevice,
  productKinds,
} from './harness.js';

const precisions = ['float32', 'bfloat16'] as const;

/** Bit for bit. */
async function expectSame(actual: Tensor, expected: Tensor) {
  const [own, other] = await Promise.all([actual.read(), expected.read()]);
  expectClose(new Uint16Array(own), new Uint16Array(other), 0);
}

async function expectRounded(device: Device, make: (dtype: OperandType) => Tensor) {
  const [rounded, whole] = [make('bfloat16'), make('float32')];
  expect([rounded.dtype, whole.dtype]).toEqual(['bfloat16', 'float32']);
  expect(rounded.shape).toEqual(whole.shape);
  await expectSame(rounded, device.cast(whole, 'bfloat16'));
}

/** The numbers in bfloat16, and the same in float32. */
function bothTypes(device: Device, shape: readonly number[], data: Float32Array): [Tensor, Tensor] {
  const rounded = device.cast(float32(device, shape, data), 'bfloat16');
  return [rounded, device.cast(rounded, 'float32')];
}

type Follows = Partial<Pick<MatmulOptions, 'activation' | 'layout'>>;

type MomentOperands = Parameters<Device['secondMoment']>[2];

interface Product extends Follows {
  rows: number;
  out: number;
  in: number;
  weight?: DType;
  bias?: boolean;
  residual?: boolean;
}

/** Sizes around the edges of words and tiles; for a CPU several stretches of the depth, also in several sheets. */
const products = (onCpu: boolean): [string, Product][] => [
  ['one number', { rows: 1, out: 1, in: 1 }],
  ['odd sizes', { rows: 29, out: 33, in: 17 }],
  ['bias', { rows: 20, out: 70, in: 50, bias: true }],
  ['residual', { rows: 20, out: 72, in: 56, residual: true }],
  ['activation', { rows: 20, out: 72, in: 56, activation: 'relu', weight: 'bfloat16' }],
  ['all', { rows: 33, out: 70, in: 50, bias: true, residual: true, activation: 'gelu' }],
  ['all by words', { rows: 33, out: 96, in: 64, bias: true, residual: true, activation: 'silu' }],
  ['float16 weight', { rows: 20, out: 70, in: 48, weight: 'float16' }],
  ['weight [in, out]', { rows: 20, out: 70, in: 33, layout: 'in_out', residual: true }],
  ['whole tiles', { rows: 256, out: 256, in: 64, weight: 'bfloat16' }],
  ['a deep product', { rows: 19, out: 40, in: onCpu ? 2200 : 320, bias: true, residual: true }],
  ['many columns', { rows: 3, out: onCpu ? 4200 : 300, in: 1100, residual: true }],
];

const deviates = normals(4200 * 1100, 2);

function operandsOf(device: Device, c: Product) {
  const shape = c.layout === 'in_out' ? [c.in, c.out] : [c.out, c.in];
  const options: MatmulOptions = {
    activation: c.activation ?? 'none',
    layout: c.layout ?? 'out_in',
    bias: c.bias ? float32(device, [c.out], normals(c.out, 3)) : undefined,
    residual: c.residual ? float32(device, [c.rows, c.out], normals(c.rows * c.out, 4)) : undefined,
  };
  const weight = float32(device, shape, deviates.subarray(0, c.out * c.in));
  return {
    x: normals(c.rows * c.in, 1),
    weight: device.cast(weight, c.weight ?? 'float32'),
    options,
  };
}

describeDevices('matmul of operand types', productKinds, (kind) => {
  describe.each(precisions)('%s products', (precision) => {
    it.each(products(!kind.startsWith('cuda:')))('%s', async (_, c) => {
      const device = openDevice(kind, 3, precision);
      const { x, weight, options } = operandsOf(device, c);
      const whole = float32(device, [c.rows, c.in], x);
      await expectRounded(device, (dtype) => device.matmul(whole, weight, { ...options, dtype }));

      const [narrow, wide] = bothTypes(device, [c.rows, c.in], x);
      await expectSame(
        device.matmul(narrow, weight, options),
        device.matmul(wide, weight, options),
      );
      await expectRounded(device, (dtype) => device.matmul(narrow, weight, { ...options, dtype }));
    });
  });

  it('takes rows that begin anywhere in memory', async () => {
    const device = openDevice(kind, 2, 'bfloat16');
    const weight = float32(device, [24, 37], normals(24 * 37, 2));
    const [narrow, wide] = bothTypes(device, [20, 37], normals(20 * 37, 1));
    const product = (x: Tensor) => device.matmul(device.sliceRows(x, 3, 20), weight);
    await expectSame(product(narrow), product(wide));
  });
});

/** [tokens, channels of x, channels of y or 0 for x alone]; more tokens than a GPU adds up at once. */
const moments: [number, number, number][] = [
  [1, 5, 0],
  [600, 65, 0],
  [70, 300, 0],
  [1100, 17, 40],
  [16400, 3, 0],
];

function moment(x: Tensor, options: MomentOperands = {}): Tensor {
  const sum = x.device.zeros('float32', [x.cols, (options.y ?? x).cols]);
  x.device.secondMoment(x, sum, options);
  return sum;
}

describeDevices('second moment of operand types', productKinds, (kind) => {
  it.each(moments)('%i tokens, %i and %i channels', async (tokens, cx, cy) => {
    const device = openDevice(kind, 3, 'bfloat16');
    const [x, wideX] = bothTypes(device, [tokens, cx], normals(tokens * cx, 1, 1, 3));
    const shiftX = float32(device, [cx], normals(cx, 3, 0.1, 3));
    if (cy === 0) return expectSame(moment(x, { shiftX }), moment(wideX, { shiftX }));
    const [y, wideY] = bothTypes(device, [tokens, cy], normals(tokens * cy, 2));
    const shiftY = float32(device, [cy], normals(cy, 4));
    const expected = moment(wideX, { y: wideY, shiftX, shiftY });
    await expectSame(moment(x, { y, shiftX, shiftY }), expected);
  });

  it('takes each operand of its own type, in float32 products too', async () => {
    const device = openDevice(kind, 2, 'float32');
    const [x, wideX] = bothTypes(device, [90, 20], normals(90 * 20, 1));
    const [y, wideY] = bothTypes(device, [90, 30], normals(90 * 30, 2));
    const expected = moment(wideX, { y: wideY });
    for (const left of [x, wideX]) await expectSame(moment(left, { y }), expected);
    await expectSame(moment(x, { y: wideY }), expected);
    await expectSame(moment(x), moment(wideX));
  });
});

const attentions: [string, Partial<Case>][] = [
  ['causal', { batch: 2, sequence: 33 }],
  ['odd head size', { headSize: 7, sequence: 33 }],
  ['grouped heads of 80', { heads: 4, headSize: 80, sequence: 40 }],
  ['a large head', { headSize: 200, sequence: 20 }],
  ['sinks', { sinks: 1, sequence: 33, headSize: 64 }],
  ['a bias, not causal', { windows: 1, alibi: true, causal: false, sequence: 70 }],
];

describeDevices('attention to operand types', productKinds, (kind) => {
  describe.each(precisions)('%s products', (precision) => {
    it.each(attentions)('%s', async (_, options) => {
      const c = { ...plain, ...options };
      const device = openDevice(kind, 3, precision);
      const tokens = c.batch * c.sequence;
      const operand = (heads: number, seed: number) => {
        const channels = heads * c.headSize;
        return float32(device, [tokens, channels], normals(tokens * channels, seed));
      };
      const [query, key, value] = [1, 2, 3].map((seed) =>
        operand(seed === 1 ? c.heads : c.keyValueHeads, seed),
      ) as [Tensor, Tensor, Tensor];
      const bias =
        c.windows > 0
          ? float32(device, [c.windows * c.heads * c.sequence, c.sequence], biases(c))
          : undefined;
      const alibiSlopes = c.alibi ? float32(device, [c.heads], slopes(c.heads)) : undefined;
      const drawn = sinksOf(c);
      const sinks = drawn && float32(device, [c.heads], drawn);
      const scale = 1 / Math.sqrt(c.headSize);
      await expectRounded(device, (dtype) =>
        device.attention(query, key, value, { ...c, scale, alibiSlopes, bias, sinks, dtype }),
      );
    });
  });
});

describeDevices('rows of operand types', instructionSets, (kind) => {
  const device = openDevice(kind, 3);

  it.each([1, 7, 33, 768, 1030, 4100, 4104])('norms of %i channels', async (n) => {
    const x = float32(device, [9, n], normals(9 * n, 1, 2, 5));
    const [weight, bias] = [float32(device, [n], normals(n, 2)), float32(device, [n], normals(n))];
    await expectRounded(device, (dtype) => device.layerNorm(x, weight, bias, 1e-5, dtype));
    await expectRounded(device, (dtype) => device.layerNorm(x, undefined, undefined, 1e-5, dtype));
    await expectRounded(device, (dtype) => device.rmsNorm(x, weight, 1e-6, 1, dtype));
  });

  it('RMS norm per head', async () => {
    const x = float32(device, [5, 48], normals(5 * 48));
    const weight = float32(device, [12], normals(12, 2));
    await expectRounded(device, (dtype) => device.rmsNorm(x, weight, 1e-6, 0, dtype));
  });

  it.each([1, 15, 32, 70001])('products of %i elements', async (n) => {
    const [a, b] = [float32(device, [n], normals(n, 1)), float32(device, [n], normals(n, 2))];
    await expectRounded(device, (dtype) => device.multiply(a, b, dtype));
  });

  it.each([132, 133])('products with one row of %i for all', async (n) => {
    const [a, b] = [normals(300 * n, 1), float32(device, [n], normals(n, 2))];
    await expectRounded(device, (dtype) =>
      device.multiply(device.sliceRows(float32(device, [300, n], a), 1, 300), b, dtype),
    );
  });

  it.each([1, 37, 256])('sums of %i channels', async (n) => {
    for (const rows of [1, 65, 2001]) {
      const [narrow, wide] = bothTypes(device, [rows, n], normals(rows * n, 1, 1, 5)).map((x) => {
        const sum = device.upload('float64', [n], Float64Array.from(normals(n, 2)));
        device.channelSum(x, sum);
        return sum;
      });
      await expectSame(narrow as Tensor, wide as Tensor);
    }
  });

  const refused = (sentence: string) =>
    expect.objectContaining({ code: 'ERR_TYPE', message: expect.stringContaining(sentence) });

  it('refuses other results', () => {
    const x = float32(device, [4, 4], normals(16));
    const row = float32(device, [4], normals(4));
    const dtype = 'float16' as string as OperandType;
    const sentence = refused('Expected float32 or bfloat16 for the result but received float16.');
    const attention = { sequence: 4, heads: 1, scale: 1, dtype };
    expect(() => device.matmul(x, x, { dtype })).toThrow(sentence);
    expect(() => device.attention(x, x, x, attention)).toThrow(sentence);
    expect(() => device.layerNorm(x, row, row, 1e-5, dtype)).toThrow(sentence);
    expect(() => device.rmsNorm(x, row, 1e-6, 0, dtype)).toThrow(sentence);
    expect(() => device.multiply(x, x, dtype)).toThrow(sentence);
  });

  it('refuses other operands', () => {
    const x = float32(device, [4, 4], normals(16));
    const [half, narrow] = [device.cast(x, 'float16'), device.cast(x, 'bfloat16')];
    const sentence = refused('Expected float32 or bfloat16 for x but received float16.');
    const sum = device.zeros('float32', [4, 4]);
    expect(() => device.matmul(half, x)).toThrow(sentence);
    expect(() => device.secondMoment(half, sum)).toThrow(sentence);
    expect(() => device.secondMoment(x, sum, { y: half })).toThrow(refused('for y'));
    expect(() => device.channelSum(half, device.zeros('float64', [4]))).toThrow(sentence);
    const other = refused('Expected float32');
    expect(() => device.matmul(x, x, { residual: narrow })).toThrow(other);
    expect(() => device.attention(narrow, x, x, { sequence: 4, heads: 1, scale: 1 })).toThrow(
      other,
    );
    expect(() => device.multiply(narrow, x)).toThrow(other);
  });

  it('moves rows as they are', async () => {
    const [narrow, wide] = bothTypes(device, [9, 5], normals(45));
    const moves: ((x: Tensor) => Tensor)[] = [
      (x) => device.selectRows(x, int32(device, [8, 0, 3, 3])),
      (x) => device.selectColumns(x, int32(device, [4, 1])),
      (x) => device.transpose(x),
      (x) => device.sliceRows(x, 1, 7),
    ];
    for (const move of moves) {
      const moved = move(narrow);
      expect(moved.dtype).toBe('bfloat16');
      await expectSame(device.cast(moved, 'float32'), move(wide));
    }
  });
});
