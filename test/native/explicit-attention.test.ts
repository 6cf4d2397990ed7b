// Attention step by step against attention in one: scores, softmax and mixing must give the same for every mask. And
// gradients of each step, and of attention as a whole, against finite differences.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AttentionOptions, Device, Tensor } from '../../lib/device/index.js';
import {
  at,
  describeDevices,
  expectClose,
  float32,
  instructionSets,
  normals,
  openDevice,
} from './harness.js';

interface Case extends AttentionOptions {
  readonly batch: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  readonly alibi?: boolean;
  readonly windows?: number;
  readonly hasSinks?: boolean;
}

const plain: Case = {
  batch: 2,
  sequence: 33,
  heads: 3,
  keyValueHeads: 3,
  headSize: 20,
  scale: 20 ** -0.5,
  causal: false,
};

const cases: [string, Partial<Case>][] = [
  ['no mask', {}],
  ['causal', { causal: true }],
  ['grouped heads', { heads: 4, keyValueHeads: 2 }],
  ['window and soft-capping', { causal: true, window: 5, softcap: 2 }],
  ['alibi', { alibi: true, causal: true }],
  ['a bias for each window', { windows: 2, batch: 4, softcap: 3 }],
  ['one token', { sequence: 1 }],
  ['sinks', { hasSinks: true }],
  ['sinks beside a window and a cap', { hasSinks: true, causal: true, window: 5, softcap: 2 }],
  ['a sequence of a photograph', { sequence: 197, headSize: 64, batch: 1 }],
];

describeDevices('attention step by step', instructionSets, (instructionSet) => {
  it.each(cases)('%s', async (_, changed) => {
    const device = openDevice(instructionSet, 2);
    const c = { ...plain, ...changed };
    const tokens = c.batch * c.sequence;
    const tensor = (heads: number, seed: number) =>
      float32(device, [tokens, heads * c.headSize], normals(tokens * heads * c.headSize, seed));
    const [q, k, v] = [tensor(c.heads, 1), tensor(c.keyValueHeads, 2), tensor(c.keyValueHeads, 3)];
    const slopes = Array.from({ length: c.heads }, (_slope, head) => 2 ** -(head + 1));
    const alibiSlopes = c.alibi ? float32(device, [c.heads], slopes) : undefined;
    const rows = (c.windows ?? 0) * c.heads * c.sequence;
    const bias =
      rows > 0 ? float32(device, [rows, c.sequence], normals(rows * c.sequence, 5)) : undefined;
    const sinks = c.hasSinks ? float32(device, [c.heads], normals(c.heads, 6, 2, 1)) : undefined;
    const options = { ...c, alibiSlopes, bias, sinks };
    const probabilities = device.softmax(device.headProduct(q, k, 'scores', options), options);
    const mixed = device.headProduct(probabilities, v, 'mix', { ...options, scale: 1 });
    const whole = await device.attention(q, k, v, options).readFloat32();
    expectClose(await mixed.readFloat32(), whole, 3e-6);
    device.close();
  });
});

describe.each(instructionSets)('softmax (%s)', (instructionSet) => {
  it('forms no subnormal numbers', async () => {
    const device = openDevice(instructionSet);
    const [sequence, heads] = [250, 1];
    const row = Array.from({ length: sequence }, (_, i) => (i === 0 ? 0 : -86 - i / 50));
    const scores = float32(device, [sequence, sequence], Array(sequence).fill(row).flat());
    const softmax = device.softmax(scores, { sequence, heads, scale: 1, causal: false });
    const weights = await softmax.readFloat32();
    expect(weights.filter((x) => x !== 0).length).toBeGreaterThan(40 * sequence);
    expect(weights.filter((x) => x !== 0 && x < 2 ** -126)).toEqual(new Float32Array());
    device.close();
  });
});

describeDevices('gradients against finite differences', ['generic'], (instructionSet) => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(instructionSet, 2);
  });
  afterAll(() => device.close());

  /** Directional derivatives of Σ weight ∘ f(x) along a few random directions. */
  async function check(
    f: (x: Tensor) => Tensor,
    gradient: (x: Tensor, weight: Tensor) => Tensor,
    shape: readonly [number, number],
  ): Promise<void> {
    const count = shape[0] * shape[1];
    const x = normals(count, 11);
    const outputs = f(float32(device, shape, x));
    const weight = normals(outputs.elements, 12);
    const w = float32(device, outputs.shape, weight);
    const slope = await gradient(float32(device, shape, x), w).readFloat32();
    const value = async (input: Float32Array) => {
      const y = await f(float32(device, shape, input)).readFloat32();
      return y.reduce((sum, item, i) => sum + item * at(weight, i), 0);
    };
    const step = 1e-2;
    for (const seed of [21, 22, 23]) {
      const direction = normals(count, seed);
      const moved = (sign: number) => x.map((item, i) => item + sign * step * at(direction, i));
      const numeric = ((await value(moved(1))) - (await value(moved(-1)))) / (2 * step);
      const exact = slope.reduce((sum, item, i) => sum + item * at(direction, i), 0);
      const size = Math.hypot(...slope) * Math.hypot(...direction);
      expect(Math.abs(numeric - exact) / size).toBeLessThan(2e-4);
    }
  }

  it.each(['gelu', 'gelu_tanh', 'quick_gelu', 'silu', 'sigmoid', 'tanh', 'none'] as const)(
    '%s',
    (kind) =>
      check(
        (x) => device.activate(kind, x),
        (x, weight) => device.activationGradient(kind, x, weight),
        [5, 13],
      ),
  );

  it('relu', async () => {
    const x = float32(device, [1, 4], [-2, -0.5, 0.5, 2]);
    const gradient = float32(device, [1, 4], [1, 2, 3, 4]);
    const out = await device.activationGradient('relu', x, gradient).readFloat32();
    expect([...out]).toEqual([0, 0, 3, 4]);
  });

  it('layer norm, with and without a weight', async () => {
    for (const weight of [undefined, float32(device, [13], normals(13, 4, 1, 1))]) {
      await check(
        (x) => device.layerNorm(x, weight, undefined, 1e-5),
        (x, g) => device.layerNormGradient(x, weight, g, 1e-5),
        [5, 13],
      );
    }
  });

  it('attention, with respect to query, key and value', async () => {
    const options = { sequence: 7, heads: 2, scale: 0.5, causal: false };
    const unit = { ...options, scale: 1 };
    const shape = [14, 10] as const;
    const [q, k, v] = [1, 2, 3].map((seed) => float32(device, shape, normals(140, seed))) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const probabilities = (query: Tensor, key: Tensor) =>
      device.softmax(device.headProduct(query, key, 'scores', options), options);
    const scoresGradient = (query: Tensor, key: Tensor, g: Tensor) =>
      device.softmaxGradient(probabilities(query, key), device.headProduct(g, v, 'scores', unit));
    await check(
      (x) => device.attention(x, k, v, options),
      (x, g) => device.headProduct(scoresGradient(x, k, g), k, 'mix', options),
      shape,
    );
    await check(
      (x) => device.attention(q, x, v, options),
      (x, g) => device.headProduct(scoresGradient(q, x, g), q, 'spread', options),
      shape,
    );
    await check(
      (x) => device.attention(q, k, x, options),
      (_, g) => device.headProduct(probabilities(q, k), g, 'spread', unit),
      shape,
    );
  });
});

describeDevices('twin quantization', instructionSets, (instructionSet) => {
  it('each side has its own step, limit and sign', async () => {
    const device = openDevice(instructionSet, 1);
    const values = [-9, -0.26, -0.1, 0, 0.4, 0.6, 1.5, 99, Number.NaN];
    // More than a vector, and not a whole number of them.
    const x = float32(device, [1, 27], [...values, ...values, ...values]);
    const options = {
      threshold: 0,
      lowScale: 0.1,
      lowMin: -7,
      lowMax: 0,
      highScale: 1,
      highMax: 7,
    };
    const out = await device.twinQuantize(x, options).readFloat32();
    const expected = [-0.7, -0.3, -0.1, 0, 0, 1, 2, 7];
    for (const start of [0, 9, 18]) {
      expectClose(out.subarray(start, start + 8), expected, 1e-6);
      expect(out[start + 8]).toBeNaN();
    }
    expect(() => device.twinQuantize(x, { ...options, lowScale: 0 })).toThrow('scales above 0');
    device.close();
  });
});
