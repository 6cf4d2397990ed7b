// Linear attention and the convolution before it against float64 loops, token by token; the shapes leave vectors, panels of
// columns and stretches of tokens whole and not.

import { describe, expect, it } from 'vitest';
import type { Device } from '../../lib/device/index.js';
import {
  at,
  describeDevices,
  expectClose,
  float32,
  instructionSets,
  normals,
  openDevice,
} from './harness.js';

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

// Sequences, tokens of each, channels, taps.
const convolutions = [
  [1, 1, 1, 1],
  [2, 3, 5, 4],
  [3, 40, 33, 4],
  [1, 130, 300, 2],
  [2, 2, 16, 7],
] as const;

function convolutionTests(device: Device): void {
  it.each(convolutions)(
    '%i × %i tokens of %i channels, %i taps',
    async (sequences, tokens, c, taps) => {
      const n = sequences * tokens;
      const [x, weight] = [normals(n * c, 1), normals(c * taps, 2)];
      const expected = (f: (sum: number) => number) =>
        Float32Array.from({ length: n * c }, (_, i) => {
          const [row, channel] = [Math.floor(i / c), i % c];
          let sum = 0;
          for (let back = 0; back < taps && back <= row % tokens; ++back) {
            sum += at(weight, channel * taps + taps - 1 - back) * at(x, (row - back) * c + channel);
          }
          return f(sum);
        });
      const operands = [float32(device, [n, c], x), float32(device, [c, taps], weight)] as const;
      const options = { sequence: tokens } as const;
      const plain = device.causalConvolution(...operands, { ...options, activation: 'none' });
      expect(plain.shape).toEqual([n, c]);
      expectClose(
        await plain.readFloat32(),
        expected((sum) => sum),
        3e-6,
      );
      const active = device.causalConvolution(...operands, { ...options, activation: 'silu' });
      expectClose(
        await active.readFloat32(),
        expected((sum) => sum * sigmoid(sum)),
        3e-6,
      );
    },
  );

  it('refuses what does not fit', () => {
    const x = float32(device, [6, 4], normals(24));
    const weight = float32(device, [4, 3], normals(12));
    const options = { sequence: 3, activation: 'none' } as const;
    const refused = (sentence: string) => new RegExp(sentence);
    expect(() => device.causalConvolution(x, weight, { ...options, sequence: 4 })).toThrow(
      refused('whole sequences'),
    );
    expect(() => device.causalConvolution(x, device.transpose(weight), options)).toThrow(
      refused('a row of convolution weights for each channel'),
    );
    expect(() => device.causalConvolution(device.cast(x, 'bfloat16'), weight, options)).toThrow(
      refused('float32 for x'),
    );
  });
}

interface Sizes {
  readonly sequences: number;
  readonly tokens: number;
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keySize: number;
  readonly valueSize: number;
}

interface Operands {
  readonly mixed: Float32Array;
  readonly decay: Float32Array;
  readonly write: Float32Array;
  readonly logRate: Float32Array;
  readonly decayBias: Float32Array;
}

function operandsOf(sizes: Sizes, decayMean = 0): Operands {
  const { sequences, tokens, keyHeads, valueHeads, keySize, valueSize } = sizes;
  const n = sequences * tokens;
  return {
    mixed: normals(n * (2 * keyHeads * keySize + valueHeads * valueSize), 1),
    decay: normals(n * valueHeads, 2, 1, decayMean),
    write: normals(n * valueHeads, 3),
    logRate: normals(valueHeads, 4, 1, -1),
    decayBias: normals(valueHeads, 5),
  };
}

/** x / √(Σx² + 10⁻⁶) */
function normalized(x: Float32Array): number[] {
  const length = Math.sqrt(x.reduce((sum, item) => sum + item * item, 1e-6));
  return [...x].map((item) => item / length);
}

/** One value head of one sequence, whose first token is row `first`. */
function attendHead(sizes: Sizes, operands: Operands, first: number, head: number): number[][] {
  const { tokens, keyHeads, valueHeads, keySize, valueSize } = sizes;
  const keys = keyHeads * keySize;
  const width = 2 * keys + valueHeads * valueSize;
  const keyHead = Math.floor(head / (valueHeads / keyHeads));
  const memory = Array.from({ length: keySize }, () => new Float64Array(valueSize));
  const rate = Math.exp(at(operands.logRate, head));
  return Array.from({ length: tokens }, (_, t) => {
    const row = operands.mixed.subarray((first + t) * width, (first + t + 1) * width);
    const part = (begin: number, size: number) => row.subarray(begin, begin + size);
    const query = normalized(part(keyHead * keySize, keySize));
    const key = normalized(part(keys + keyHead * keySize, keySize));
    const value = part(2 * keys + head * valueSize, valueSize);
    const gate = (first + t) * valueHeads + head;
    const decay = at(operands.decay, gate) + at(operands.decayBias, head);
    const alpha = Math.exp(-rate * Math.log1p(Math.exp(decay)));
    const beta = sigmoid(at(operands.write, gate));
    return [...value].map((v, j) => {
      let recalled = 0;
      for (const [i, line] of memory.entries()) {
        line[j] = alpha * at(line, j);
        recalled += at(line, j) * at(key, i);
      }
      let read = 0;
      for (const [i, line] of memory.entries()) {
        line[j] = at(line, j) + at(key, i) * beta * (v - recalled);
        read += at(line, j) * at(query, i);
      }
      return read / Math.sqrt(keySize);
    });
  });
}

function attend(sizes: Sizes, operands: Operands): Float32Array {
  const { sequences, tokens, valueHeads, valueSize } = sizes;
  const out = new Float32Array(sequences * tokens * valueHeads * valueSize);
  for (let sequence = 0; sequence < sequences; ++sequence) {
    for (let head = 0; head < valueHeads; ++head) {
      const rows = attendHead(sizes, operands, sequence * tokens, head);
      for (const [t, row] of rows.entries()) {
        out.set(row, ((sequence * tokens + t) * valueHeads + head) * valueSize);
      }
    }
  }
  return out;
}

function run(device: Device, sizes: Sizes, operands: Operands) {
  const { sequences, tokens, keyHeads, valueHeads, keySize } = sizes;
  const n = sequences * tokens;
  const upload = (data: Float32Array, shape: readonly number[]) => float32(device, shape, data);
  const gates = {
    decay: upload(operands.decay, [n, valueHeads]),
    write: upload(operands.write, [n, valueHeads]),
    logRate: upload(operands.logRate, [valueHeads]),
    decayBias: upload(operands.decayBias, [valueHeads]),
  };
  const mixed = upload(operands.mixed, [n, operands.mixed.length / n]);
  return device.gatedDeltaRule(mixed, gates, { sequence: tokens, keyHeads, keySize });
}

const sizeList: readonly Sizes[] = [
  { sequences: 1, tokens: 1, keyHeads: 1, valueHeads: 1, keySize: 1, valueSize: 1 },
  { sequences: 2, tokens: 5, keyHeads: 1, valueHeads: 2, keySize: 3, valueSize: 7 },
  { sequences: 1, tokens: 67, keyHeads: 2, valueHeads: 4, keySize: 16, valueSize: 33 },
  { sequences: 2, tokens: 130, keyHeads: 2, valueHeads: 2, keySize: 40, valueSize: 16 },
  { sequences: 1, tokens: 64, keyHeads: 1, valueHeads: 3, keySize: 129, valueSize: 20 },
];

function deltaRuleTests(device: Device, threads: Device): void {
  it.each(sizeList)('$sequences × $tokens tokens, $keyHeads keys of $keySize', async (sizes) => {
    const operands = operandsOf(sizes);
    const out = run(device, sizes, operands);
    const { sequences, tokens, valueHeads, valueSize } = sizes;
    expect(out.shape).toEqual([sequences * tokens, valueHeads * valueSize]);
    const found = await out.readFloat32();
    expectClose(found, attend(sizes, operands), 2e-6);
    expect(await run(threads, sizes, operands).readFloat32()).toEqual(found);
  });

  // A memory that forgets nothing, and one that forgets all at once, far below the least number.
  it.each([-60, 200])('decays before their functions around %i', async (decayMean) => {
    const sizes = { ...(sizeList[3] as Sizes), tokens: 300, sequences: 1 };
    const operands = operandsOf(sizes, decayMean);
    const found = await run(device, sizes, operands).readFloat32();
    expectClose(found, attend(sizes, operands), 4e-6);
  });

  it('gives zeros where queries and keys are zero, and a NaN to its own head alone', async () => {
    const sizes = sizeList[2] as Sizes;
    const operands = operandsOf(sizes);
    const { keyHeads, keySize, valueHeads, valueSize, tokens } = sizes;
    const width = 2 * keyHeads * keySize + valueHeads * valueSize;
    for (let t = 0; t < tokens; ++t) operands.mixed.fill(0, t * width, t * width + keySize);
    operands.write[10 * valueHeads + 3] = NaN;
    const found = await run(device, sizes, operands).readFloat32();
    found.forEach((value, i) => {
      const [row, head] = [
        Math.floor(i / (valueHeads * valueSize)),
        Math.floor((i % (valueHeads * valueSize)) / valueSize),
      ];
      if (head < 2) expect(value).toBe(0);
      else expect(Number.isNaN(value)).toBe(head === 3 && row >= 10);
    });
  });

  it('refuses what does not fit', () => {
    const sizes = sizeList[1] as Sizes;
    const operands = operandsOf(sizes);
    const refused = (change: Partial<Sizes>, sentence: string) =>
      expect(() => run(device, { ...sizes, ...change }, operands)).toThrow(sentence);
    expect(() => run(device, sizes, operands)).not.toThrow();
    refused({ keyHeads: 4 }, 'Expected value heads divisible by the key heads.');
    refused({ keySize: 0 }, 'Expected queries, keys and values of whole heads side by side.');
    refused({ keySize: 10 }, 'Expected queries, keys and values of whole heads side by side.');
    refused({ keySize: 30 }, 'Expected queries, keys and values of whole heads side by side.');
    const rows = float32(device, [10, 2], new Float32Array(20));
    const vector = float32(device, [2], [0, 0]);
    const gates = { decay: rows, write: rows, logRate: vector, decayBias: vector };
    const mixed = float32(device, [10, 20], operands.mixed);
    const options = { sequence: 5, keyHeads: 1, keySize: 3 };
    const call = (change: Partial<typeof gates>, x = mixed, sequence = 5) =>
      device.gatedDeltaRule(x, { ...gates, ...change }, { ...options, sequence });
    expect(() => call({}, mixed, 4)).toThrow('whole sequences');
    expect(() => call({ write: vector })).toThrow('for write');
    expect(() => call({ logRate: rows })).toThrow('for rates');
    expect(() => call({ decayBias: device.cast(vector, 'bfloat16') })).toThrow('for decay bias');
    expect(() => call({}, device.cast(mixed, 'bfloat16'))).toThrow('for mixed');
  });
}

describeDevices('recurrence', instructionSets, (instructionSet) => {
  describe('convolution', () => convolutionTests(openDevice(instructionSet)));
  describe('gated delta rule', () =>
    deltaRuleTests(openDevice(instructionSet, 1), openDevice(instructionSet, 3)));
});
