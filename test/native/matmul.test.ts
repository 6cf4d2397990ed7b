// Matrix products against float64 loops: weights of every type and layout, what follows the product, sizes around every
// edge of the blocking, both precisions. And the same digits from one thread and from several, for one row or many.

import { describe, expect, it } from 'vitest';
import type { Activation, Precision, WeightLayout } from '../../lib/device/index.js';
import {
  at,
  describeDevices,
  expectClose,
  float32,
  lossOf,
  normals,
  openDevice,
  productKinds,
  toBfloat16,
} from './harness.js';

interface Case {
  rows: number;
  out: number;
  in: number;
  precision: Precision;
  layout: WeightLayout;
  dtype: 'float32' | 'float16' | 'bfloat16';
  bias: boolean;
  residual: boolean;
  activation: Activation;
}

const plain: Case = {
  rows: 20,
  out: 70,
  in: 50,
  precision: 'float32',
  layout: 'out_in',
  dtype: 'float32',
  bias: false,
  residual: false,
  activation: 'none',
};

const cases: [string, Partial<Case>][] = [
  ['one number', { rows: 1, out: 1, in: 1 }],
  ['one row', { rows: 1 }],
  ['odd sizes', { rows: 29, out: 33, in: 17 }],
  ['whole tiles', { rows: 28, out: 64, in: 64 }],
  ['many rows', { rows: 700, out: 40, in: 24 }],
  ['many columns', { rows: 9, out: 600, in: 24 }],
  ['a depth of several blocks', { rows: 15, out: 40, in: 1100 }],
  ['weight [in, out]', { layout: 'in_out' }],
  ['float16', { dtype: 'float16' }],
  ['float16, [in, out]', { dtype: 'float16', layout: 'in_out', in: 33 }],
  ['bfloat16', { dtype: 'bfloat16' }],
  ['bfloat16, [in, out]', { dtype: 'bfloat16', layout: 'in_out', in: 33 }],
  ['bias', { bias: true }],
  ['residual', { residual: true }],
  ['activation before residual', { bias: true, residual: true, activation: 'relu' }],
  ['rows of whole vectors', { out: 96, bias: true, residual: true, activation: 'relu' }],
  ['tiles of the widest kind', { rows: 130, out: 512, in: 200 }],
];

function operandsOf(c: Case) {
  return {
    x: normals(c.rows * c.in, 1),
    // Multiples of 1/16 below 8: every weight type holds them.
    weight: normals(c.out * c.in, 2).map((w) => Math.round(w * 16) / 16),
    bias: normals(c.out, 3),
    residual: normals(c.rows * c.out, 4),
  };
}

type Operands = ReturnType<typeof operandsOf>;

function reference(c: Case, { x, weight, bias, residual }: Operands): Float64Array {
  const rounded = c.precision === 'bfloat16' ? x.map(toBfloat16) : x;
  const expected = new Float64Array(c.rows * c.out);
  for (let i = 0; i < c.rows; ++i) {
    for (let j = 0; j < c.out; ++j) {
      let sum = c.bias ? at(bias, j) : 0;
      for (let k = 0; k < c.in; ++k) {
        const w = at(weight, c.layout === 'out_in' ? j * c.in + k : k * c.out + j);
        sum += at(rounded, i * c.in + k) * w;
      }
      if (c.activation === 'relu') sum = Math.max(sum, 0);
      expected[i * c.out + j] = sum + (c.residual ? at(residual, i * c.out + j) : 0);
    }
  }
  return expected;
}

async function multiply(
  c: Case,
  instructionSet: string,
  threads: number,
  { x, weight, bias, residual }: Operands,
): Promise<Float32Array> {
  const device = openDevice(instructionSet, threads, c.precision);
  const shape = c.layout === 'out_in' ? [c.out, c.in] : [c.in, c.out];
  const out = device.matmul(
    float32(device, [c.rows, c.in], x),
    device.cast(float32(device, shape, weight), c.dtype),
    {
      bias: c.bias ? float32(device, [c.out], bias) : undefined,
      residual: c.residual ? float32(device, [c.rows, c.out], residual) : undefined,
      activation: c.activation,
      layout: c.layout,
    },
  );
  return out.readFloat32();
}

describeDevices('matmul', productKinds, (instructionSet) => {
  describe.each(['float32', 'bfloat16'] as const)('%s products', (precision) => {
    it.each(cases)('%s', async (_, options) => {
      const c: Case = { ...plain, ...options, precision };
      const operands = operandsOf(c);
      const out = await multiply(c, instructionSet, 1, operands);
      const loss = precision === 'float32' ? lossOf(instructionSet) : 1;
      expectClose(out, reference(c, operands), loss * (4e-6 * Math.sqrt(c.in) + 1e-6));
      expect(await multiply(c, instructionSet, 3, operands)).toEqual(out);
    });

    // Enough rows for another width of tiles, and with many columns on a large GPU too.
    const wide = { rows: 1024, out: /^cuda:\d+$/.test(instructionSet) ? 2304 : 130, in: 64 };
    it.each([{ rows: 40, out: 70, in: 1200 }, wide])(
      'gives a row the same digits in any company: $rows rows',
      async (shape) => {
        const c: Case = { ...plain, ...shape, precision };
        const operands = operandsOf(c);
        const all = await multiply(c, instructionSet, 2, operands);
        const alone = { ...operands, x: operands.x.subarray(17 * c.in, 18 * c.in) };
        const row = await multiply({ ...c, rows: 1 }, instructionSet, 2, alone);
        expect(row).toEqual(all.subarray(17 * c.out, 18 * c.out));
      },
    );
  });
});
