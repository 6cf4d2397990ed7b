// Models with experts, quantized from end to end: which tokens each linear is measured on, experts that none reaches,
// several devices, what packed results hold, and what is refused.

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { loadTensor } from '../../lib/checkpoint/load-tensor.js';
import { Device } from '../../lib/device/index.js';
import {
  blockRunner,
  embed,
  executor,
  linearOf,
  loadBlock,
  loadWeights,
} from '../../lib/execution/index.js';
import { evaluate, exportResult, type QuantizeOptions } from '../../lib/index.js';
import { readModel, shapeOf } from '../../lib/models/index.js';
import { routeOf } from '../models/tiny.js';
import { gpus } from '../native/harness.js';
import { exampleText, temporaryFolder } from '../places.js';
import { windowsOf } from './forward.js';
import { evaluation, expectNear, randomExperts, run, withoutLast } from './random-experts.js';
import { type Finished, filesOf, finish } from './runs.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

it.each<[string, Partial<QuantizeOptions>]>([
  ['rtn', {}],
  ['gptq', {}],
  ['gptq on the float path', { propagate: 'float' }],
  ['gptq, all groups at once', { trueSequential: false }],
  ['comq', {}],
  ['descent', { fit: 'joint', target: 'float' }],
  [
    'rtn in bfloat16, on quantized inputs',
    { precision: 'bfloat16', activationBits: 8, activationRange: 'dynamic' },
  ],
])('%s quantizes every expert', async (name, options) => {
  const [method = ''] = name.split(/ |,/);
  const model = await randomExperts();
  const { directory, report } = await finish(model, { ...run, ...options, method });
  expect(report.layers).toHaveLength(7 + 2 * (4 + 3 * 7));
  // Each token that is fitted on goes to two experts.
  const gates = report.layers.filter(({ name }) => /layers\.1\..*experts\.\d.gate/.test(name));
  const tokens = gates.map((layer) => layer.tokens ?? Number.NaN);
  expect(tokens.reduce((sum, count) => sum + count, 0)).toBe(2 * report.calibrationTokens);
  await expectNear(model, directory, report);
});

const energyOf = (values: Float32Array) => values.reduce((sum, value) => sum + value ** 2, 0);

/** E‖(W − Q)x‖² / E‖W x‖² of every linear of a block, x what the float model has there, each expert for its own tokens. */
async function errorsOf(source: string, result: string, index: number) {
  const [float, quantized] = [await Checkpoint.open(source), await Checkpoint.open(result)];
  const model = readModel(float.config, new Set(float.tensors.keys()));
  const samples = await windowsOf(source, exampleText, run.samples, run.sequenceLength);
  const context = { device, sequence: run.sequenceLength };
  using embedding = await loadWeights(device, float, model.embedTensors);
  let [x] = await embed(
    model,
    embedding,
    [Int32Array.from(samples.flatMap((ids) => [...ids]))],
    context,
  );
  const errors = new Map<string, number>();
  for (let i = 0; i <= index; i++) {
    using block = await loadBlock(device, float, model, i);
    const runBlock = blockRunner(model, block.weights, context, i);
    const plain = executor(device, (name) => linearOf(block, name));
    const state = x;
    if (state === undefined) throw new Error('No samples.');
    const route = await routeOf(shapeOf(model, i), (toRouter) =>
      runBlock(state, plain, { route: toRouter }),
    );
    const sums: (readonly [string, ReturnType<Device['matmul']>, ReturnType<Device['matmul']>])[] =
      [];
    x = runBlock(
      state,
      (name, input, options) => {
        if (i === index) {
          const weight = linearOf(block, name).weight;
          const full = `${model.blockName(i)}.${name}`;
          const q = loadTensor(device, quantized, `${full}.weight`);
          const y = device.matmul(input, weight);
          sums.push([full, y, device.subtract(y, device.matmul(input, q))]);
        }
        return plain(name, input, options);
      },
      { route },
    );
    for (const [name, y, e] of sums) {
      errors.set(name, energyOf(await e.readFloat32()) / energyOf(await y.readFloat32()));
    }
  }
  return errors;
}

it('measures each expert on the tokens that the router sends there', async () => {
  const model = await randomExperts();
  const { directory, report } = await finish(model, {
    ...{ ...run, method: 'rtn', heldOut: 0, sampling: 'sequential' },
    ...{ compensation: 'none', propagate: 'float' },
  });
  const errors = await errorsOf(model, directory, 1);
  expect(errors.size).toBe(25);
  const reached = [...errors].filter(([, error]) => !Number.isNaN(error));
  expect(reached.length).toBeGreaterThanOrEqual(25 - 3);
  for (const [name, expected] of reached) {
    const { error = Number.NaN } = report.layers.find((layer) => layer.name === name) ?? {};
    expect(Math.abs(error / expected - 1), name).toBeLessThan(1e-3);
  }
});

it('rounds an expert that no token reaches to nearest', async () => {
  const model = await withoutLast();
  const source = await Checkpoint.open(model);
  /** ‖W − Q‖² of one of the experts. */
  const changeOf = async (method: string) => {
    const { directory, report } = await finish(model, { ...run, method });
    const tokens = report.layers.filter(({ name }) => name.includes('experts.'));
    const unreached = tokens.filter((layer) => layer.tokens === 0).map(({ name }) => name);
    for (const part of ['gate', 'up', 'down']) {
      expect(unreached).toContain(`model.layers.1.mlp.experts.3.${part}_proj`);
    }
    const result = await Checkpoint.open(directory);
    return async (expert: number, part: string) => {
      const name = `model.layers.1.mlp.experts.${expert}.${part}_proj.weight`;
      const [w, q] = [source, result].map((checkpoint) => loadTensor(device, checkpoint, name));
      if (w === undefined || q === undefined) throw new Error('Two checkpoints.');
      return energyOf(await device.subtract(w, q).readFloat32());
    };
  };
  const [rtn, gptq] = [await changeOf('rtn'), await changeOf('gptq')];
  for (const part of ['gate', 'up', 'down']) {
    const rounded = await rtn(3, part);
    expect(await gptq(3, part)).toBeGreaterThan(0.9 * rounded);
    expect(await gptq(3, part)).toBeLessThan(rounded);
  }
});

it('gives on two devices what it gives on one', async () => {
  const model = await randomExperts();
  const sampling = { ...run, samples: 48, sequenceLength: 128, threads: 1, method: 'rtn' };
  const one = await finish(model, sampling);
  const two = await finish(model, { ...sampling, device: ['cpu', 'cpu'] });
  const four = await finish(model, { ...sampling, device: ['cpu', 'cpu', 'cpu', 'cpu'] });
  // Of held-out tokens none may have come to an expert.
  const figures = ({ report }: Finished) =>
    report.layers.flatMap(({ error, heldOutError = 1 }) => [error, heldOutError]);
  const expected = figures(one);
  for (const several of [two, four]) {
    for (const [i, figure] of figures(several).entries()) {
      expect(Math.abs(figure / (expected[i] ?? Number.NaN) - 1)).toBeLessThan(1e-4);
    }
  }
  expect(await filesOf(await finish(model, { ...sampling, device: ['cpu', 'cpu'] }))).toEqual(
    await filesOf(two),
  );
});

it.skipIf(gpus.length === 0)('gives on a GPU what it gives on a CPU', async () => {
  const model = await randomExperts();
  const sampling = { ...run, samples: 4, sequenceLength: 32, heldOut: 0, method: 'rtn' };
  const [cpu, gpu] = [
    await finish(model, { ...sampling, device: 'cpu' }),
    await finish(model, { ...sampling, device: gpus[0] ?? '' }),
  ];
  const expected = cpu.report.layers.map(({ error }) => error);
  for (const [i, { error, name }] of gpu.report.layers.entries()) {
    expect(Math.abs(error / (expected[i] ?? Number.NaN) - 1), name).toBeLessThan(1e-3);
  }
});

describe('compressed-tensors', () => {
  it('holds the codes of every expert and leaves routers alone', async () => {
    const model = await randomExperts();
    const options = { ...run, method: 'gptq', symmetric: true, scaleDtype: 'float16' } as const;
    const plain = await finish(model, options);
    const packed = join(await temporaryFolder(), 'packed');
    await exportResult(plain.directory, { output: packed, format: 'compressed-tensors' });
    const { tensors, config } = await Checkpoint.open(packed);
    expect(tensors.has('model.layers.2.mlp.experts.5.down_proj.weight_packed')).toBe(true);
    expect(tensors.has('model.layers.2.mlp.gate.weight')).toBe(true);
    const { ignore } = config.quantization_config as { ignore: string[] };
    for (const router of ['mlp.gate', 'mlp.shared_expert_gate']) {
      const ignored = ignore.some((pattern) =>
        new RegExp(pattern.replace(/^re:/, '')).test(`model.layers.1.${router}`),
      );
      expect(ignored).toBe(true);
    }
    const [a, b] = [
      await evaluate(plain.directory, evaluation),
      await evaluate(packed, evaluation),
    ];
    const [one, other] = [a.results[0]?.perplexity ?? 0, b.results[0]?.perplexity ?? 0];
    expect(Math.abs(one / other - 1)).toBeLessThan(1e-5);
  });
});

describe('refuses what experts cannot have', () => {
  it.each<[string, Partial<QuantizeOptions>]>([
    ["compensation 'channel' or 'none'", { compensation: 'position' }],
    ["weightSearch 'none'", { weightSearch: 'cosine', method: 'rtn' }],
    ["activationRange 'dynamic'", { activationBits: 8, activationRange: 'minmax' }],
    ['symmetric true and actOrder false', { format: 'compressed-tensors' }],
    [
      'symmetric true and actOrder false',
      { format: 'compressed-tensors', symmetric: true, actOrder: true, staticGroups: true },
    ],
    ['a model whose linears are all quantized', { format: 'gptq', symmetric: true }],
  ])('%s', async (expected, options) => {
    const model = await randomExperts();
    const failed = finish(model, { ...run, method: 'gptq', ...options });
    await expect(failed).rejects.toThrow(`Expected ${expected}`);
  });
});
