// Attention against a float64 loop over all pairs, both precisions. And the same digits from one thread and from several.

import { expect, it } from 'vitest';
import type { Precision } from '../../lib/device/index.js';
import {
  biases,
  type Case,
  cases,
  type Operands,
  plain,
  referenceOf,
  sinksOf,
  slopes,
} from './attention-reference.js';
import {
  at,
  describeDevices,
  expectClose,
  float32,
  normals,
  openDevice,
  productInstructionSets,
  toBfloat16,
} from './harness.js';

function operandsOf(c: Case): Operands {
  const tokens = c.batch * c.sequence;
  return [
    normals(tokens * c.heads * c.headSize, 1),
    normals(tokens * c.keyValueHeads * c.headSize, 2),
    normals(tokens * c.keyValueHeads * c.headSize, 3),
  ];
}

async function attend(
  c: Case,
  instructionSet: string,
  threads: number,
  [q, k, v]: Operands,
  precision: Precision = 'float32',
): Promise<Float32Array> {
  const device = openDevice(instructionSet, threads, precision);
  const tokens = c.batch * c.sequence;
  const sinks = sinksOf(c);
  const out = device.attention(
    float32(device, [tokens, c.heads * c.headSize], q),
    float32(device, [tokens, c.keyValueHeads * c.headSize], k),
    float32(device, [tokens, c.keyValueHeads * c.headSize], v),
    {
      ...c,
      scale: 1 / Math.sqrt(c.headSize),
      alibiSlopes: c.alibi ? float32(device, [c.heads], slopes(c.heads)) : undefined,
      bias:
        c.windows > 0
          ? float32(device, [c.windows * c.heads * c.sequence, c.sequence], biases(c))
          : undefined,
      sinks: sinks && float32(device, [c.heads], sinks),
    },
  );
  return out.readFloat32();
}

function expectWithin(
  actual: Float32Array,
  expected: Float64Array,
  bound: (index: number) => number,
): void {
  expect(actual.length).toBe(expected.length);
  const error = actual.map((x, i) => Math.abs(x - at(expected, i)) / bound(i));
  expect(Math.max(...error)).toBeLessThanOrEqual(1);
}

describeDevices('attention', productInstructionSets, (instructionSet) => {
  it.each(cases)('%s', async (name, options) => {
    const c = { ...plain, ...options };
    const operands = operandsOf(c);
    const out = await attend(c, instructionSet, 1, operands);
    expectClose(out, referenceOf(name, c, operands).out, 3e-6);
    expect(await attend(c, instructionSet, 3, operands)).toEqual(out);
  });

  // u is the rounding of bfloat16. Where it holds the operands, only weights are rounded, w_j (1 + δ_j) with |δ_j| <= u,
  // and then divided by their sum: what is off is Σ_j w_j δ_j (v_j − out) / (1 + Σ_j w_j δ_j). The second term is for
  // float32: scores, exponentials and sums.
  const u = 2 ** -8;

  it.each(cases)('%s, bfloat16 operands and weights', async (name, options) => {
    const c = { ...plain, ...options };
    const operands = operandsOf(c).map((x) => x.map(toBfloat16)) as Operands;
    const { out, magnitude, spread } = referenceOf(`${name}, rounded`, c, operands);
    expectWithin(
      await attend(c, instructionSet, 1, operands, 'bfloat16'),
      out,
      (i) => 1.01 * u * at(spread, i) + (1e-5 + c.sequence * 2 ** -26) * at(magnitude, i),
    );
  });

  it.each(cases)('%s, all rounded to bfloat16', async (name, options) => {
    const c = { ...plain, ...options };
    const operands = operandsOf(c);
    const { out, magnitude, reach } = referenceOf(name, c, operands);
    expectWithin(await attend(c, instructionSet, 1, operands, 'bfloat16'), out, (i) => {
      const weights = Math.exp(4.01 * u * at(reach, i)) * (1 + 3.02 * u) - 1;
      return (weights + 1e-5 + c.sequence * 2 ** -26) * at(magnitude, i);
    });
  });

  // A GPU refuses such heads.
  it.skipIf(instructionSet.startsWith('cuda'))(
    'a head deeper than a pass of any product',
    async () => {
      const c = { ...plain, headSize: 1100, heads: 1, keyValueHeads: 1, sequence: 40 };
      const operands = operandsOf(c);
      const { out } = referenceOf('deep', c, operands);
      expectClose(await attend(c, instructionSet, 2, operands), out, 1e-5);
      const rounded = operands.map((x) => x.map(toBfloat16)) as Operands;
      const { out: expected } = referenceOf('deep, rounded', c, rounded);
      expectClose(await attend(c, instructionSet, 2, rounded, 'bfloat16'), expected, 2 * u);
    },
  );

  it('heads without channels are refused', async () => {
    const nothing = new Float32Array();
    const c = { ...plain, headSize: 0 };
    await expect(attend(c, instructionSet, 1, [nothing, nothing, nothing])).rejects.toThrow(
      'Expected channels divisible by heads',
    );
  });

  it('a bias that does not fit is refused', async () => {
    const c = { ...plain, sequence: 4, windows: 2, batch: 3 };
    const operand = normals(c.batch * c.sequence * c.heads * c.headSize, 1);
    await expect(attend(c, instructionSet, 1, [operand, operand, operand])).rejects.toThrow(
      'windows that divide the sequences but received [16, 4]',
    );
  });
});
