// The products over heads against float64 loops: every kind, heads that share keys and values, sequences and heads that
// fill no tile, both precisions. And the same digits from one thread and from several.

import { expect, it } from 'vitest';
import type { Device, Precision } from '../../lib/device/index.js';
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

type Kind = 'scores' | 'mix' | 'spread';

interface Case {
  kind: Kind;
  batch: number;
  sequence: number;
  heads: number;
  keyValueHeads: number;
  headSize: number;
  scale: number;
}

const plain = { batch: 2, sequence: 70, heads: 2, keyValueHeads: 2, headSize: 20, scale: 0.25 };

const cases: [string, Case][] = [
  ...(['scores', 'mix', 'spread'] as const).flatMap((kind): [string, Case][] => [
    [kind, { ...plain, kind }],
    [`${kind}, whole tiles`, { ...plain, kind, batch: 1, sequence: 64, headSize: 64 }],
    [`${kind}, one number`, { ...plain, kind, batch: 1, sequence: 1, headSize: 1 }],
    [`${kind}, a head wider than a tile`, { ...plain, kind, sequence: 9, headSize: 67 }],
  ]),
  ['scores of shared keys', { ...plain, kind: 'scores', batch: 1, heads: 4 }],
  ['a mix of shared values', { ...plain, kind: 'mix', batch: 1, heads: 4 }],
];

const scoreCount = ({ batch, heads, sequence }: Case) => batch * heads * sequence * sequence;
const tokenCount = ({ batch, sequence, headSize }: Case, heads: number) =>
  batch * sequence * heads * headSize;

function reference(c: Case, x: Float32Array, y: Float32Array): Float64Array {
  const { kind, sequence, heads, headSize } = c;
  const makesScores = kind === 'scores';
  const out = new Float64Array(makesScores ? scoreCount(c) : tokenCount(c, heads));
  for (let item = 0; item < c.batch * heads; ++item) {
    const [batch, head] = [Math.floor(item / heads), item % heads];
    const shared = Math.floor(head / (heads / c.keyValueHeads));
    const token = (row: number, among: number, which: number, channel: number) =>
      ((batch * sequence + row) * among + which) * headSize + channel;
    const score = (row: number, column: number) => (item * sequence + row) * sequence + column;
    const [columns, depth] = makesScores ? [sequence, headSize] : [headSize, sequence];
    for (let i = 0; i < sequence; ++i) {
      for (let j = 0; j < columns; ++j) {
        let sum = 0;
        for (let k = 0; k < depth; ++k) {
          if (makesScores) {
            sum += at(x, token(i, heads, head, k)) * at(y, token(j, c.keyValueHeads, shared, k));
          } else {
            const from = kind === 'mix' ? score(i, k) : score(k, i);
            sum += at(x, from) * at(y, token(k, c.keyValueHeads, shared, j));
          }
        }
        out[makesScores ? score(i, j) : token(i, heads, head, j)] = sum * c.scale;
      }
    }
  }
  return out;
}

async function multiply(device: Device, c: Case, x: Float32Array, y: Float32Array) {
  const columns = c.kind === 'scores' ? c.heads * c.headSize : c.sequence;
  const out = device.headProduct(
    float32(device, [x.length / columns, columns], x),
    float32(device, [c.batch * c.sequence, c.keyValueHeads * c.headSize], y),
    c.kind,
    c,
  );
  const values = await out.readFloat32();
  device.close();
  return values;
}

describeDevices('head product', productKinds, (instructionSet) => {
  it.each(
    cases.flatMap(([name, c]) =>
      (['float32', 'bfloat16'] as const).map((p): [string, Precision, Case] => [name, p, c]),
    ),
  )('%s (%s)', async (_, precision, c) => {
    const x = normals(c.kind === 'scores' ? tokenCount(c, c.heads) : scoreCount(c), 1);
    const y = normals(tokenCount(c, c.keyValueHeads), 2);
    const open = (threads: number) => openDevice(instructionSet, threads, precision);
    const out = await multiply(open(1), c, x, y);
    const operands = precision === 'bfloat16' ? [x, y].map((all) => all.map(toBfloat16)) : [x, y];
    const tolerance = precision === 'float32' ? 1e-5 * lossOf(instructionSet) : 1e-5;
    expectClose(out, reference(c, ...(operands as [Float32Array, Float32Array])), tolerance);
    expect(await multiply(open(3), c, x, y)).toEqual(out);
  });
});
