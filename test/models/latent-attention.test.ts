// Latent attention beyond its figures: which linears share an input, what is asked for where attention is observed, values
// whose heads have another size, and layers that predict further tokens.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stepwiseAttention } from '../../lib/activations/index.js';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { Device, type Tensor } from '../../lib/device/index.js';
import { blockRunner, executor, linearOf, loadBlock } from '../../lib/execution/index.js';
import { type Attend, type Linear, readModel } from '../../lib/models/index.js';
import { configOf, directoryOf, largestDifference, openModel } from './tiny.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 1 });
});
afterAll(() => device.close());

const sequence = 6;

/** The first block, which has no experts: runs it on two sequences. */
async function open(variant: string) {
  const checkpoint = await Checkpoint.open(directoryOf(variant));
  const model = openModel(checkpoint);
  const block = await loadBlock(device, checkpoint, model, 0);
  const rows = 2 * sequence;
  const values = Float32Array.from({ length: rows * model.hiddenSize }, (_, i) => Math.sin(7 * i));
  const x = device.upload('float32', [rows, model.hiddenSize], values);
  const plain = executor(device, (name) => linearOf(block, name));
  const run = (linear: Linear = plain, attend?: Attend) =>
    blockRunner(model, block.weights, { device, sequence, attend }, 0)(x, linear, {});
  return { model, run, plain };
}

test.each([
  ['deepseek-v2', 'q_proj kv_a_proj_with_mqa | kv_b_proj | o_proj | gate_proj up_proj | down_proj'],
  [
    'deepseek-v3',
    'q_a_proj kv_a_proj_with_mqa | q_b_proj | kv_b_proj | o_proj | gate_proj up_proj | down_proj',
  ],
])('%s: linears that read one tensor are %s', async (variant, expected) => {
  const { run, plain } = await open(variant);
  const groups = new Map<Tensor, string[]>();
  run((name, x, options) => {
    groups.set(x, [...(groups.get(x) ?? []), name.replace(/^.*\./, '')]);
    return plain(name, x, options);
  });
  expect([...groups.values()].map((names) => names.join(' ')).join(' | ')).toBe(expected);
});

describe('attention step by step gives what the fused one gives', () => {
  // Values of 10 and of 16 channels, queries and keys of 14.
  test.each([
    ['deepseek-v3', 10],
    ['deepseek-v3-halves', 16],
  ])('%s', async (variant, valueSize) => {
    const { run, plain } = await open(variant);
    const seen: Record<string, readonly number[]> = {};
    const observed = run(plain, (query, key, value, options) =>
      stepwiseAttention(device, query, key, value, options, (operand, x) => {
        seen[operand] = x.shape;
        return x;
      }),
    );
    const rows = 2 * sequence;
    expect(seen).toMatchObject({
      query: [rows, 4 * 14],
      key: [rows, 4 * 14],
      value: [rows, 4 * valueSize],
    });
    const fused = await run().readFloat32();
    expect(largestDifference(await observed.readFloat32(), fused)).toBeLessThan(1e-5);
  });
});

test('layers that predict further tokens are parts of the checkpoint that are not run', () => {
  const partsOf = (variant: string, fields: object, ...tensors: string[]) =>
    readModel(
      { ...configOf(variant), ...fields },
      new Set(['model.embed_tokens.weight', ...tensors]),
    ).otherParts;
  const norm = (index: number) => `model.layers.${index}.enorm.weight`;
  expect(partsOf('deepseek-v3', {})).toBeUndefined();
  expect(partsOf('deepseek-v3', {}, norm(3))).toEqual(['model.layers.3']);
  expect(partsOf('deepseek-v3', { num_nextn_predict_layers: 0 }, norm(3))).toBeUndefined();
  const two = { num_nextn_predict_layers: 2 };
  expect(partsOf('glm4-moe-lite', two, norm(3), norm(30), norm(4))).toEqual([
    'model.layers.3',
    'model.layers.4',
  ]);
  expect(partsOf('glm4-moe', two, norm(4))).toEqual(['model.layers.4']);
});
