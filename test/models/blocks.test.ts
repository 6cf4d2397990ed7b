// What a model's data promises about its block: which linears it calls on which inputs, where a constant folds, and
// what biases a changed config.json makes room for.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { Device, type Tensor } from '../../lib/device/index.js';
import { blockRunner, executor, type LoadedBlock, loadBlock } from '../../lib/execution/index.js';
import {
  type BlockShape,
  type Hold,
  type HoldPoint,
  type LanguageModel,
  type Linear,
  shapeOf,
} from '../../lib/models/index.js';
import {
  configOf,
  directoryOf,
  goldenOf,
  largestDifference,
  logitsOf,
  openModel,
  readAs,
  routeOf,
  variants,
} from './tiny.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

const sequence = 6;

interface Subject {
  readonly model: LanguageModel;
  readonly shape: BlockShape;
  readonly block: LoadedBlock;
  /** Runs the block on the same hidden states, two sequences. */
  readonly run: (linear?: Linear, hold?: Hold) => Tensor;
  readonly plain: Linear;
}

async function open(variant: string, index = 1): Promise<Subject> {
  const checkpoint = await Checkpoint.open(directoryOf(variant));
  const model = openModel(checkpoint);
  const block = await loadBlock(device, readAs(model, checkpoint), model, index);
  const rows = 2 * sequence;
  const values = Float32Array.from({ length: rows * model.hiddenSize }, (_, i) => Math.sin(7 * i));
  const x = device.upload('float32', [rows, model.hiddenSize], values);
  const plain = executor(device, (name) => {
    const weights = block.linears.get(name);
    if (weights === undefined) throw new Error(`No linear ${name}.`);
    return weights;
  });
  const runBlock = blockRunner(model, block.weights, { device, sequence }, index);
  const shape = shapeOf(model, index);
  const route = await routeOf(shape, (toRouter) => runBlock(x, plain, { route: toRouter }));
  const run: Subject['run'] = (linear = plain, hold) => runBlock(x, linear, { hold, route });
  return { model, shape, block, run, plain };
}

/** The calls of a block, in order. */
async function callsOf(variant: string): Promise<{ name: string; x: Tensor }[]> {
  const { run, plain } = await open(variant);
  const calls: { name: string; x: Tensor }[] = [];
  run((name, x, options) => {
    calls.push({ name, x });
    return plain(name, x, options);
  });
  return calls;
}

describe.each(variants)('%s', (variant) => {
  test('calls each of its linears once, in the order of its list', async () => {
    const { shape } = await open(variant);
    const called = (await callsOf(variant)).map(({ name }) => name);
    expect(called).toEqual(shape.linears.map(({ name }) => name));
  });

  test('resumes at the points it names with the same digits, and runs nothing before them', async () => {
    const { shape, run, plain } = await open(variant);
    const reached = new Map<HoldPoint, { tensor: Tensor; calls: number }>();
    let calls = 0;
    const counted: Linear = (name, x, options) => {
      calls++;
      return plain(name, x, options);
    };
    const whole = run(counted, (point, compute) => {
      const tensor = compute();
      reached.set(point, { tensor, calls });
      return tensor;
    });
    const all = calls;
    const inner = [...reached.keys()].slice(2);
    const lastOnes = shape.linears.filter(({ stage }) => stage === 'out of experts');
    expect([...reached.keys()].slice(0, 2)).toEqual(['attended', 'middle']);
    if (shape.experts === undefined) expect(inner).toEqual(['inner']);
    else expect(inner).toHaveLength(lastOnes.length);
    const points: HoldPoint[] = ['attended', 'middle', ...inner.slice(-1)];
    for (const point of points) {
      calls = 0;
      // What is between attention and MLP is the residual of what comes after.
      const held: HoldPoint[] = point === inner.at(-1) ? ['middle', ...inner] : [point];
      const resumed = run(counted, (asked, compute) =>
        held.includes(asked) ? (reached.get(asked)?.tensor as Tensor) : compute(),
      );
      expect(calls).toBe(all - (reached.get(point)?.calls ?? 0));
      expect(await resumed.readFloat32()).toEqual(await whole.readFloat32());
    }
  });

  test('a constant on the block output folds into its slot', async () => {
    const { model, block, run, plain } = await open(variant);
    const { block: slot } = model.slots;
    if (slot.kind === 'none') {
      expect(slot.reason).toMatch(/\w+.*\.$/);
      return;
    }
    const constant = Float32Array.from({ length: model.hiddenSize }, (_, i) => Math.cos(i));
    const bias = device.upload('float32', [model.hiddenSize], constant);
    const expected = device.add(run(), bias);
    let received: Tensor;
    if (slot.kind === 'linear') {
      received = run((name, x, options) =>
        name === slot.linear ? device.add(plain(name, x, options), bias) : plain(name, x, options),
      );
    } else {
      const own = block.weights.get(slot.tensor);
      const changed = device.add(device.reshape(own, [1, own.elements]), bias);
      const find = block.weights.find.bind(block.weights);
      block.weights.find = (name) =>
        name === slot.tensor ? device.reshape(changed, [own.elements]) : find(name);
      received = run();
    }
    const difference = largestDifference(
      await received.readFloat32(),
      await expected.readFloat32(),
    );
    expect(difference).toBeLessThan(1e-5);
  });

  test('slots that are linears can hold a bias', async () => {
    const { model } = await open(variant);
    for (const slot of Object.values(model.slots)) {
      if (slot.kind !== 'linear') continue;
      const spec = model.linears.find(({ name }) => name === slot.linear);
      expect(spec?.bias || spec?.biasByConfig).toBe(true);
    }
  });

  test('under biasFields every linear that may have a bias has one', async () => {
    const checkpoint = await Checkpoint.open(directoryOf(variant));
    const { linears, biasFields } = openModel(checkpoint);
    expect(biasFields !== undefined).toBe(linears.some(({ biasByConfig }) => biasByConfig));
    const changed = openModel(checkpoint, { ...checkpoint.config, ...biasFields });
    expect(changed.linears.map(({ bias }) => bias)).toEqual(
      linears.map(({ bias, biasByConfig = false }) => bias || biasByConfig),
    );
  });

  test('one sequence alone, on one thread, gives the same', async () => {
    const checkpoint = await Checkpoint.open(directoryOf(variant));
    const model = openModel(checkpoint);
    const { ids, sequence: length, logits } = await goldenOf(variant);
    const single = Device.open('cpu', { threads: 1 });
    try {
      const first = ids.subarray(0, length);
      const received = await logitsOf(single, checkpoint, model, first, length);
      const expected = logits.subarray(0, received.length);
      expect(largestDifference(received, expected)).toBeLessThan(1e-4);
    } finally {
      single.close();
    }
  });
});

test.each([
  ['llama', 'q k v | o | gate up | down'],
  ['olmo2', 'q k v | o | gate up | down'],
  ['gemma3-text', 'q k v | o | gate up | down'],
  ['gemma2', 'q k v | o | gate up | down'],
  ['phi3', 'qkv | o | gate_up | down'],
  ['phi', 'q k v fc1 | dense | fc2'],
  ['gpt-neox', 'query_key_value | dense | dense_h_to_4h | dense_4h_to_h'],
  ['bloom', 'query_key_value | dense | dense_h_to_4h | dense_4h_to_h'],
  ['gpt2', 'c_attn | c_proj | c_fc | c_proj'],
])('%s: linears that read one tensor are %s', async (variant, expected) => {
  const groups = new Map<Tensor, string[]>();
  for (const { name, x } of await callsOf(variant)) {
    const short = name
      .replace(/^.*\./, '')
      .replace(/^(q|k|v|qkv|o|gate|up|gate_up|down)_proj$/, '$1');
    groups.set(x, [...(groups.get(x) ?? []), short]);
  }
  expect([...groups.values()].map((names) => names.join(' ')).join(' | ')).toBe(expected);
});

test('which linears can be given a bias', () => {
  const givable = (variant: string) => {
    const { linears } = openModelOf(variant);
    return linears.filter(({ biasByConfig }) => biasByConfig).map(({ name }) => name);
  };
  const attention = ['q', 'k', 'v', 'o'].map((name) => `self_attn.${name}_proj`);
  const mlp = ['gate', 'up', 'down'].map((name) => `mlp.${name}_proj`);
  expect(givable('llama')).toEqual([...attention, ...mlp]);
  expect(givable('granite')).toEqual([...attention, ...mlp]);
  expect(givable('smollm3')).toEqual([...attention, ...mlp]);
  expect(givable('starcoder2-untied-no-biases')).toEqual([...attention, 'mlp.c_fc', 'mlp.c_proj']);
  expect(openModelOf('granite').slots.block.kind).toBe('none');
  expect(givable('stablelm')).toEqual(attention.slice(0, 3));
  expect(givable('cohere')).toEqual(attention);
  expect(givable('helium')).toEqual([...attention.slice(0, 3), ...mlp]);
  expect(givable('ernie4-5')).toEqual([...attention, ...mlp]);
  expect(givable('seed-oss')).toEqual([...attention, ...mlp]);
  expect(givable('glm')).toEqual(attention.slice(0, 3));
  expect(openModelOf('glm4-no-biases').slots.block.kind).toBe('none');
  expect(givable('qwen3')).toEqual(attention);
  expect(givable('qwen3-vl')).toEqual(attention);
  expect(givable('qwen2-vl')).toEqual([]);
  expect(givable('gemma')).toEqual(attention);
  expect(givable('gemma2')).toEqual(attention);
  expect(givable('gemma3')).toEqual(attention);
  expect(givable('olmo2')).toEqual(attention);
  expect(openModelOf('olmo2').slots.block.kind).toBe('none');
  for (const ofVllm of ['exaone4', 'mistral-window', 'mistral3', 'ministral3']) {
    expect(givable(ofVllm)).toEqual([...attention, ...mlp]);
  }
  expect(givable('ministral')).toEqual([]);
  expect(givable('qwen2')).toEqual([]);
  expect(givable('phi3')).toEqual([]);
  const latent = ['q_a_proj', 'kv_a_proj_with_mqa', 'o_proj'].map((name) => `self_attn.${name}`);
  expect(givable('deepseek-v2')).toEqual(latent.slice(1));
  expect(givable('deepseek-v3')).toEqual(latent);
  expect(givable('glm4-moe-lite')).toEqual(latent);
  expect(openModelOf('qwen2').linears.map(({ bias }) => bias)).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
  expect(openModelOf('qwen2').slots.block.kind).toBe('none');
  expect(openModelOf('gemma2').slots.attention.kind).toBe('none');
});

function openModelOf(variant: string): LanguageModel {
  return openModel({ config: configOf(variant), tensors: new Map() } as unknown as Checkpoint);
}
