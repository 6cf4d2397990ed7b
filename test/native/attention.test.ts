// Attention against a float64 loop over all pairs: masks, grouped heads, alibi, soft-capping, odd sizes. And the
// same digits from one thread and from several.

import { expect, it } from 'vitest';
import {
  at,
  describeDevices,
  expectClose,
  float32,
  instructionSets,
  normals,
  openDevice,
} from './harness.js';

interface Case {
  batch: number;
  sequence: number;
  heads: number;
  keyValueHeads: number;
  headSize: number;
  causal: boolean;
  window: number;
  softcap: number;
  alibi: boolean;
  /** Windows of the bias on scores; 0 for no bias. */
  windows: number;
}

const plain: Case = {
  batch: 1,
  sequence: 70,
  heads: 2,
  keyValueHeads: 2,
  headSize: 32,
  causal: true,
  window: 0,
  softcap: 0,
  alibi: false,
  windows: 0,
};

const cases: [string, Partial<Case>][] = [
  ['causal', { batch: 2 }],
  ['a sequence beyond a tile of keys', { sequence: 300, headSize: 16 }],
  ['not causal', { causal: false, sequence: 197 }],
  ['grouped heads', { heads: 4, keyValueHeads: 2, headSize: 24 }],
  ['one key/value head', { heads: 3, keyValueHeads: 1 }],
  ['odd head size', { headSize: 7, sequence: 33 }],
  ['head size 80', { headSize: 80 }],
  ['window', { window: 20, sequence: 200 }],
  ['window of one token', { window: 1 }],
  ['window, not causal', { window: 5, causal: false }],
  ['soft-capping', { softcap: 2 }],
  ['alibi', { alibi: true }],
  ['all at once', { alibi: true, softcap: 3, window: 40, keyValueHeads: 1, sequence: 150 }],
  ['a bias on scores', { windows: 1, batch: 2, causal: false, sequence: 49 }],
  ['a bias for each of three windows', { windows: 3, batch: 6, sequence: 33 }],
  [
    'a bias beyond a tile of keys',
    { windows: 2, batch: 2, sequence: 150, window: 90, alibi: true },
  ],
  ['one token', { sequence: 1, batch: 3 }],
];

const slopes = (heads: number) => Array.from({ length: heads }, (_, head) => 2 ** -(head + 1));

/** [windows, heads, sequence, sequence]; a few pairs are out of sight. */
const biases = ({ windows, heads, sequence }: Case) =>
  normals(windows * heads * sequence * sequence, 4).map((value, i) =>
    i % 11 === 3 ? -100 : value,
  );

function scoreOf(
  c: Case,
  head: number,
  product: number,
  query: number,
  key: number,
  bias: number,
): number {
  if ((c.causal && key > query) || (c.window > 0 && query - key >= c.window)) return -Infinity;
  const scaled = product / Math.sqrt(c.headSize);
  const capped = c.softcap > 0 ? c.softcap * Math.tanh(scaled / c.softcap) : scaled;
  return capped + (c.alibi ? at(slopes(c.heads), head) * (key - query) : 0) + bias;
}

function reference(c: Case, q: Float32Array, k: Float32Array, v: Float32Array): Float64Array {
  const out = new Float64Array(q.length);
  const bias = biases(c);
  const row = (data: Float32Array, token: number, heads: number, head: number) =>
    data.subarray((token * heads + head) * c.headSize, (token * heads + head + 1) * c.headSize);
  for (let sequence = 0; sequence < c.batch; ++sequence) {
    for (let head = 0; head < c.heads; ++head) {
      const shared = Math.floor(head / (c.heads / c.keyValueHeads));
      for (let i = 0; i < c.sequence; ++i) {
        const query = row(q, sequence * c.sequence + i, c.heads, head);
        const scores = Array.from({ length: c.sequence }, (_, j) => {
          const key = row(k, sequence * c.sequence + j, c.keyValueHeads, shared);
          const product = query.reduce((sum, x, d) => sum + x * at(key, d), 0);
          const pair =
            (((sequence % (c.windows || 1)) * c.heads + head) * c.sequence + i) * c.sequence;
          return scoreOf(c, head, product, i, j, bias[pair + j] ?? 0);
        });
        const top = Math.max(...scores);
        const weights = scores.map((score) => Math.exp(score - top));
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const begin = ((sequence * c.sequence + i) * c.heads + head) * c.headSize;
        weights.forEach((weight, j) => {
          const value = row(v, sequence * c.sequence + j, c.keyValueHeads, shared);
          for (let d = 0; d < c.headSize; ++d) {
            out[begin + d] = at(out, begin + d) + (weight / total) * at(value, d);
          }
        });
      }
    }
  }
  return out;
}

async function attend(
  c: Case,
  instructionSet: string,
  threads: number,
  [q, k, v]: [Float32Array, Float32Array, Float32Array],
): Promise<Float32Array> {
  const device = openDevice(instructionSet, threads);
  const tokens = c.batch * c.sequence;
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
    },
  );
  return out.readFloat32();
}

describeDevices('attention', instructionSets, (instructionSet) => {
  it.each(cases)('%s', async (_, options) => {
    const c = { ...plain, ...options };
    const tokens = c.batch * c.sequence;
    const operands: [Float32Array, Float32Array, Float32Array] = [
      normals(tokens * c.heads * c.headSize, 1),
      normals(tokens * c.keyValueHeads * c.headSize, 2),
      normals(tokens * c.keyValueHeads * c.headSize, 3),
    ];
    const out = await attend(c, instructionSet, 1, operands);
    expectClose(out, reference(c, ...operands), 3e-6);
    expect(await attend(c, instructionSet, 3, operands)).toEqual(out);
  });

  it('a bias that does not fit is refused', async () => {
    const c = { ...plain, sequence: 4, windows: 2, batch: 3 };
    const operand = normals(c.batch * c.sequence * c.heads * c.headSize, 1);
    await expect(attend(c, instructionSet, 1, [operand, operand, operand])).rejects.toThrow(
      'windows that divide the sequences but received [16, 4]',
    );
  });
});
