// Which experts tokens go to, with what weights, and the sum of what they give: against float64 loops, and exactly where
// order and arithmetic leave no choice.

import { describe, expect, it } from 'vitest';
import type { Device, Scoring } from '../../lib/device/index.js';
import { largest, largestOfGroups, rowsOf, scoresOf } from './expert-choice.js';
import {
  at,
  describeDevices,
  expectClose,
  float32,
  instructionSets,
  int32,
  normals,
  openDevice,
} from './harness.js';

const scorings: readonly Scoring[] = ['softmax', 'sigmoid'];

/** Within float32's rounding of each number by itself, however small it is. */
function expectNear(actual: Float32Array, expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => {
    const tolerance = 2 ** -23 * Math.abs(value) + 2 ** -149;
    if (!(Math.abs(at(actual, i) - value) <= tolerance)) {
      expect.fail(`Expected ${value} at ${i} but received ${at(actual, i)}.`);
    }
  });
}

// Rows, experts, chosen.
const sizes = [
  [1, 1, 1],
  [50, 8, 2],
  [7, 33, 4],
  [70, 160, 6],
  [3, 1000, 16],
  [5, 40, 40],
  [2, 2100, 300],
] as const;

function choiceTests(device: Device, threads: Device): void {
  it.each(sizes)('[%i, %i] → %i, with and without a bias', async (n, e, count) => {
    const logits = normals(n * e, n + e, 2);
    const bias = normals(e, 3, 0.2);
    const x = float32(device, [n, e], logits);
    for (const scoring of scorings) {
      const plain = await device.chooseExperts(x, { count, scoring }).readInt32();
      expect([...plain]).toEqual(rowsOf(logits, e).flatMap((row) => largest(row, count)));
      const options = { count, scoring, bias: float32(device, [e], bias) };
      const chosen = device.chooseExperts(x, options);
      expect(chosen.shape).toEqual([n, count]);
      const biased = rowsOf(logits, e).map((row) =>
        scoresOf(row, scoring).map((score, i) => score + at(bias, i)),
      );
      const found = await chosen.readInt32();
      expect([...found]).toEqual(biased.flatMap((row) => largest(row, count)));
      const alike = threads.chooseExperts(float32(threads, [n, e], logits), {
        ...options,
        bias: float32(threads, [e], bias),
      });
      expect(await alike.readInt32()).toEqual(found);
    }
  });

  // Rows, experts, chosen, groups, of which are kept, worth so many of their best.
  it.each([
    [50, 16, 4, 4, 2, 2],
    [9, 256, 8, 8, 4, 2],
    [70, 160, 6, 8, 3, 1],
    [5, 66, 10, 33, 5, 2],
    [4, 128, 3, 64, 40, 2],
    [3, 64, 20, 64, 64, 1],
    [8, 12, 8, 3, 2, 1],
  ])('[%i, %i] → %i, of %i groups the best %i, by their %i best', async (...numbers) => {
    const [n, e, count, all, kept, best] = numbers;
    const groups = { count: all, kept, best };
    const logits = normals(n * e, n + e, 2);
    const bias = normals(e, 3, 0.2);
    const x = float32(device, [n, e], logits);
    const plain = device.chooseExperts(x, { count, scoring: 'softmax', groups });
    expect([...(await plain.readInt32())]).toEqual(
      rowsOf(logits, e).flatMap((row) => largestOfGroups(row, count, groups)),
    );
    for (const scoring of scorings) {
      const options = { count, scoring, groups };
      const chosen = device.chooseExperts(x, { ...options, bias: float32(device, [e], bias) });
      const biased = rowsOf(logits, e).map((row) =>
        scoresOf(row, scoring).map((score, i) => score + at(bias, i)),
      );
      const found = await chosen.readInt32();
      expect([...found]).toEqual(biased.flatMap((row) => largestOfGroups(row, count, groups)));
    }
  });

  it('takes the lower of equal groups first, and NaN last', async () => {
    const x = float32(device, [2, 6], [1, 1, 1, 1, 1, 1, NaN, 5, 1, 2, NaN, NaN]);
    const choose = (best: number) => {
      const groups = { count: 3, kept: 2, best };
      return device.chooseExperts(x, { count: 4, scoring: 'softmax', groups }).readInt32();
    };
    expect([...(await choose(1))]).toEqual([0, 1, 2, 3, 1, 3, 2, 0]);
    expect([...(await choose(2))]).toEqual([0, 1, 2, 3, 1, 3, 2, 0]);
    const first = float32(device, [1, 4], [NaN, 9, 3, 2]);
    const only = { count: 1, scoring: 'sigmoid' } as const;
    const by = (best: number) =>
      device.chooseExperts(first, { ...only, groups: { count: 2, kept: 1, best } }).readInt32();
    expect([...(await by(1)), ...(await by(2))]).toEqual([1, 2]);
  });

  it('takes the lower of equal columns first', async () => {
    const e = 70;
    const logits = Float32Array.from({ length: 3 * e }, (_, i) => ((i * 7) % 3) - 1);
    logits[2 * e] = -0;
    logits.fill(0, 2 * e + 1); // a zero's sign is no difference
    const x = float32(device, [3, e], logits);
    const expected = rowsOf(logits, e).flatMap((row) => largest(row, 30));
    expect(expected.slice(60)).toEqual(Array.from({ length: 30 }, (_, i) => i));
    for (const scoring of scorings) {
      for (const bias of [undefined, float32(device, [e], new Float32Array(e).fill(0.25))]) {
        const chosen = device.chooseExperts(x, { count: 30, scoring, bias });
        expect([...(await chosen.readInt32())]).toEqual(expected);
      }
    }
  });

  it('follows a bias against the logits, by as much as the scores differ', async () => {
    // Sigmoids 0.881, 0.731, 0.5, 0.269; softmax 0.644, 0.237, 0.087, 0.032.
    const x = float32(device, [1, 4], [2, 1, 0, -1]);
    const bias = float32(device, [4], [0, 0.2, 0, 0.6]);
    const choose = (scoring: Scoring) =>
      device.chooseExperts(x, { count: 4, scoring, bias }).readInt32();
    expect([...(await choose('sigmoid'))]).toEqual([1, 0, 3, 2]);
    expect([...(await choose('softmax'))]).toEqual([0, 3, 1, 2]);
  });

  it('puts NaN behind everything, and never gives a column twice', async () => {
    const rows = [
      [NaN, -Infinity, 3, NaN, Infinity],
      [NaN, NaN, NaN, NaN, NaN],
      [-Infinity, -Infinity, -Infinity, -Infinity, -Infinity],
      [1, NaN, 1, -1e38, 2],
    ];
    const x = float32(device, [4, 5], rows.flat());
    const expected = [4, 2, 1, 0, 3, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 4, 0, 2, 3, 1];
    const plain = device.chooseExperts(x, { count: 5, scoring: 'softmax' });
    expect([...(await plain.readInt32())]).toEqual(expected);
    const bias = float32(device, [5], new Float32Array(5));
    const sigmoid = device.chooseExperts(x, { count: 5, scoring: 'sigmoid', bias });
    expect([...(await sigmoid.readInt32())]).toEqual(expected);
    // A softmax of NaN is NaN throughout.
    const softmax = device.chooseExperts(x, { count: 5, scoring: 'softmax', bias });
    for (const row of [0, 1, 2, 3]) {
      expect([...(await softmax.readInt32())].slice(row * 5, row * 5 + 5)).toEqual([0, 1, 2, 3, 4]);
    }
    const undecided = float32(device, [5], [NaN, 0, NaN, 0, 1]);
    const few = device.chooseExperts(x, { count: 3, scoring: 'sigmoid', bias: undecided });
    expect([...(await few.readInt32())].slice(6)).toEqual([4, 1, 3, 4, 3, 0]);
  });
}

function weightTests(device: Device): void {
  describe.each(scorings)('%s', (scoring) => {
    it.each(sizes)('[%i, %i] at %i', async (n, e, count) => {
      const logits = normals(n * e, n, 3);
      const chosen = Int32Array.from({ length: n * count }, (_, i) => (i * 17 + 3) % e);
      const [x, index] = [
        float32(device, [n, e], logits),
        device.upload('int32', [n, count], chosen),
      ];
      for (const normalized of [false, true]) {
        const options = { scoring, normalized, scale: 2.5 };
        const weights = device.expertWeights(x, index, options);
        expect(weights.shape).toEqual([n, count]);
        const expected = rowsOf(logits, e).flatMap((row, t) => {
          const scores = scoresOf(row, scoring);
          const own = [...chosen.subarray(t * count, (t + 1) * count)].map((i) => at(scores, i));
          const sum = normalized ? own.reduce((a, b) => a + b, 0) : 1;
          return own.map((score) => (2.5 * score) / sum);
        });
        expectNear(await weights.readFloat32(), expected);
      }
    });
  });

  it.each([80, 1000])('is stable where logits are %i', async (huge) => {
    const same = new Array(5).fill(-huge);
    const x = float32(device, [2, 5], [huge, -huge, -huge, 1 - huge, 0, ...same]);
    const chosen = device.upload('int32', [2, 3], Int32Array.of(1, 3, 2, 4, 0, 1));
    const weigh = (scoring: Scoring, normalized: boolean) =>
      device.expertWeights(x, chosen, { scoring, normalized, scale: 1 }).readFloat32();
    const third = [1, 1, 1].map((x) => x / 3);
    const sum = 2 + Math.E;
    // Over the chosen alone: their sum would be 0 in float32.
    expectNear(await weigh('softmax', true), [1 / sum, Math.E / sum, 1 / sum, ...third]);
    expectNear(await weigh('softmax', false), [0, 0, 0, 0.2, 0.2, 0.2]);
    const [low, high] = [Math.exp(-huge), Math.exp(1 - huge)];
    const sigmoids = [low, high, low, low, low, low];
    expectNear(await weigh('sigmoid', false), sigmoids);
    expectNear(
      await weigh('sigmoid', true),
      sigmoids.map((score, i) => score / ((i < 3 ? 2 * low + high : 3 * low) + 1e-20)),
    );
  });
}

function sumTests(device: Device): void {
  // Tokens, channels, experts a token, every which token goes to the expert.
  it.each([
    [1, 1, 1, 1],
    [9, 37, 2, 2],
    [40, 64, 4, 3],
    [300, 512, 8, 1],
  ])('%i tokens of %i channels, %i experts each', async (n, c, k, step) => {
    const m = Math.ceil(n / step);
    const [sum, y, weights] = [normals(n * c, 1), normals(m * c, 2), normals(n * k, 3)];
    // Tokens backwards: their order is the caller's.
    const tokens = Array.from({ length: m }, (_, i) => (m - 1 - i) * step);
    const slots = tokens.map((t) => t * k + ((t * 5) % k));
    const target = float32(device, [n, c], sum);
    const [rows, scales] = [float32(device, [m, c], y), float32(device, [n, k], weights)];
    device.addExpert(target, rows, int32(device, slots), scales);
    const expected = Float32Array.from(sum);
    for (const [i, slot] of slots.entries()) {
      const token = Math.floor(slot / k);
      for (let channel = 0; channel < c; ++channel) {
        const product = Math.fround(at(weights, slot) * at(y, i * c + channel));
        expected[token * c + channel] = at(expected, token * c + channel) + product;
      }
    }
    expectClose(await target.readFloat32(), expected, 0);
  });

  it('adds up over experts', async () => {
    const sum = device.zeros('float32', [2, 3]);
    const weights = float32(device, [2, 2], [2, 10, 100, 1000]);
    const y = float32(device, [2, 3], [1, 2, 3, 4, 5, 6]);
    device.addExpert(sum, y, int32(device, [1, 2]), weights);
    device.addExpert(sum, device.sliceRows(y, 0, 1), int32(device, [3]), weights);
    device.addExpert(sum, device.sliceRows(y, 1, 2), int32(device, [0]), weights);
    expect([...(await sum.readFloat32())]).toEqual([18, 30, 42, 1400, 2500, 3600]);
  });
}

function refusalTests(device: Device): void {
  const x = float32(device, [3, 8], normals(24));
  const chosen = device.upload('int32', [3, 2], Int32Array.of(0, 1, 2, 3, 4, 5));
  const refused = (code: string, sentence: string) =>
    expect.objectContaining({ code, message: expect.stringContaining(sentence) });

  it('refuses what cannot be chosen from', () => {
    const plain = { count: 2, scoring: 'softmax' } as const;
    for (const count of [0, 9, -1]) {
      expect(() => device.chooseExperts(x, { ...plain, count })).toThrow(
        refused('ERR_SHAPE', `chosen experts from 1 to 8 but received ${count}.`),
      );
    }
    for (const [count, kept, best, sentence] of [
      [3, 1, 1, 'a number of groups, 64 at most, that divides 8 experts but received 3.'],
      [0, 1, 1, 'that divides 8 experts but received 0.'],
      [4, 5, 1, 'kept groups from 1 to 4 but received 5.'],
      [4, 0, 1, 'kept groups from 1 to 4 but received 0.'],
      [2, 1, 3, 'worth their 1 or 2 best of 4 experts but received 3.'],
      [8, 2, 2, 'worth their 1 or 2 best of 1 experts but received 2.'],
      [8, 1, 1, 'chosen experts from 1 to 1 but received 2.'],
    ] as const) {
      const groups = { count, kept, best };
      expect(() => device.chooseExperts(x, { ...plain, groups })).toThrow(
        refused('ERR_SHAPE', sentence),
      );
    }
    const half = device.cast(x, 'float16');
    expect(() => device.chooseExperts(half, plain)).toThrow(refused('ERR_TYPE', 'for logits'));
    const flat = float32(device, [8], normals(8));
    expect(() => device.chooseExperts(flat, plain)).toThrow(refused('ERR_SHAPE', 'for logits'));
    expect(() => device.chooseExperts(x, { ...plain, bias: x })).toThrow(
      refused('ERR_SHAPE', 'Expected shape [8] for bias'),
    );
    const bias = device.cast(flat, 'float64');
    expect(() => device.chooseExperts(x, { ...plain, bias })).toThrow(
      refused('ERR_TYPE', 'for bias'),
    );
    const scoring = 'relu' as Scoring;
    expect(() => device.chooseExperts(x, { count: 2, scoring })).toThrow(TypeError);
  });

  it('refuses what cannot be weighed', async () => {
    const options = { scoring: 'sigmoid', normalized: true, scale: 1 } as const;
    expect(() => device.expertWeights(x, x, options)).toThrow(
      refused('ERR_TYPE', 'Expected int32 for chosen experts'),
    );
    expect(() => device.expertWeights(x, int32(device, [0, 1, 2]), options)).toThrow(
      refused('ERR_SHAPE', 'Expected 2 axes for chosen experts'),
    );
    const few = device.upload('int32', [2, 1], Int32Array.of(0, 1));
    expect(() => device.expertWeights(x, few, options)).toThrow(
      refused('ERR_SHAPE', 'Expected logits and chosen experts of the same number of rows.'),
    );
    expect(() => device.expertWeights(device.cast(x, 'bfloat16'), chosen, options)).toThrow(
      refused('ERR_TYPE', 'for logits'),
    );
  });

  it('refuses what cannot be added', () => {
    const [sum, y, slots] = [
      device.zeros('float32', [3, 5]),
      device.zeros('float32', [2, 5]),
      int32(device, [0, 3]),
    ];
    const weights = device.zeros('float32', [3, 2]);
    const add = (change: { sum?: typeof x; y?: typeof x; slots?: typeof x; weights?: typeof x }) =>
      device.addExpert(
        change.sum ?? sum,
        change.y ?? y,
        change.slots ?? slots,
        change.weights ?? weights,
      );
    expect(() => add({})).not.toThrow();
    expect(() => add({ sum: device.cast(sum, 'float64') })).toThrow(refused('ERR_TYPE', 'for sum'));
    expect(() => add({ sum: device.zeros('float32', [15]) })).toThrow(
      refused('ERR_SHAPE', 'for sum'),
    );
    expect(() => add({ y: sum })).toThrow(refused('ERR_SHAPE', 'Expected shape [2, 5] for y'));
    expect(() => add({ y: device.cast(y, 'bfloat16') })).toThrow(refused('ERR_TYPE', 'for y'));
    expect(() => add({ slots: y })).toThrow(refused('ERR_TYPE', 'for slots'));
    expect(() => add({ slots: chosen })).toThrow(refused('ERR_SHAPE', 'for slots'));
    expect(() => add({ weights: device.zeros('float64', [3, 2]) })).toThrow(
      refused('ERR_TYPE', 'for weights'),
    );
    expect(() => add({ weights: y })).toThrow(
      refused('ERR_SHAPE', 'Expected a row of weights for each row of the sum.'),
    );
  });
}

describeDevices('experts', instructionSets, (instructionSet) => {
  describe('choice', () =>
    choiceTests(openDevice(instructionSet, 1), openDevice(instructionSet, 3)));
  describe('weights', () => weightTests(openDevice(instructionSet)));
  describe('sum', () => sumTests(openDevice(instructionSet)));
  describe('refusals', () => refusalTests(openDevice(instructionSet)));

  it.each([8, -1])('refuses expert %i of eight', async (expert) => {
    const device = openDevice(instructionSet);
    const chosen = device.upload('int32', [2, 2], Int32Array.of(0, 7, expert, 1));
    const options = { scoring: 'softmax', normalized: false, scale: 1 } as const;
    const weights = device.expertWeights(float32(device, [2, 8], normals(16)), chosen, options);
    await expect(weights.read()).rejects.toMatchObject({
      code: 'ERR_SHAPE',
      message: `Expected chosen experts from 0 to 7 but received ${expert} at position 2.`,
    });
  });

  it.each([6, -1])('refuses slot %i of six', async (slot) => {
    const device = openDevice(instructionSet);
    const sum = device.zeros('float32', [3, 4]);
    const y = float32(device, [2, 4], normals(8));
    device.addExpert(sum, y, int32(device, [5, slot]), device.zeros('float32', [3, 2]));
    await expect(sum.read()).rejects.toMatchObject({
      code: 'ERR_SHAPE',
      message: `Expected slots from 0 to 5 but received ${slot} at position 1.`,
    });
  });
});
