// A model whose experts are one tensor with biases, quantized from end to end: what the biases of experts make good, what
// results hold, sources in MXFP4, and what is refused.

import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { Device, type Tensor } from '../../lib/device/index.js';
import {
  blockRunner,
  embed,
  executor,
  linearOf,
  loadBlock,
  loadWeights,
} from '../../lib/execution/index.js';
import {
  evaluate,
  exportResult,
  inspect,
  type QuantizeOptions,
  search,
  verify,
} from '../../lib/index.js';
import { type LanguageModel, readModel, shapeOf } from '../../lib/models/index.js';
import { randomLlama } from '../export/random-llama.js';
import { readAs, routeOf } from '../models/tiny.js';
import { gpus } from '../native/harness.js';
import { exampleText, temporaryFolder } from '../places.js';
import { windowsOf } from './forward.js';
import { evaluation, expectNear, run } from './random-experts.js';
import { filesOf, finish } from './runs.js';

const fields = {
  ...{ model_type: 'gpt_oss', architectures: ['GptOssForCausalLM'], head_dim: 24 },
  ...{ num_local_experts: 4, num_experts_per_tok: 2, sliding_window: 20, swiglu_limit: 1 },
};
const randomModel = async () => (await randomLlama(fields, 'float32', 0.2)).directory;
const list = 'model.layers.1.mlp.experts';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

it.each<[string, Partial<QuantizeOptions>]>([
  ['rtn', {}],
  ['gptq', {}],
  ['comq', {}],
  ['descent', {}],
  ['descent', { target: 'float', trueSequential: false }],
  [
    'rtn',
    {
      ...{ precision: 'bfloat16', activationBits: 8, activationRange: 'dynamic' },
      ...{ compensation: 'none' },
    },
  ],
])('%s quantizes every expert, with %j', async (method, options) => {
  const model = await randomModel();
  const { directory, report } = await finish(model, { ...run, ...options, method });
  expect(report.layers).toHaveLength(2 * (4 + 4 * 2));
  expect(report.dropped).toEqual([]);
  const ofExperts = report.layers.filter(({ name }) => name.includes('.experts.'));
  const kept = ofExperts.filter(({ biasKept }) => biasKept);
  for (const { error, errorWithBias, heldOutError, heldOutErrorWithBias = 0 } of kept) {
    expect(errorWithBias).toBeLessThan(error);
    expect(heldOutErrorWithBias).toBeLessThan(heldOutError ?? 0);
  }
  expect(kept.length > 0).toBe(options.compensation !== 'none');
  await expectNear(model, directory, report);
});

it('fits no bias where no token is, or where none is left to judge it', async () => {
  const { directory } = await randomLlama(fields, 'float32', 0.2, (name, values) => {
    if (name.endsWith('router.bias')) values[3] = -100;
  });
  const { report } = await finish(directory, { ...run, method: 'rtn' });
  const unreached = report.layers.filter(({ tokens }) => tokens === 0);
  expect(unreached.map(({ name }) => name)).toEqual(
    expect.arrayContaining([`${list}.3.gate_up_proj`, `${list}.3.down_proj`]),
  );
  for (const layer of unreached) expect(layer).toMatchObject({ biasKept: false, biasEnergy: 0 });
  const judged = report.layers.filter(({ heldOutError }) => heldOutError !== undefined);
  expect(judged.length).toBeGreaterThan(8);
  for (const { biasKept, heldOutError } of report.layers) {
    if (biasKept) expect(heldOutError).toBeDefined();
  }
});

it('holds experts as the source does', async () => {
  const source = await Checkpoint.open(await randomModel());
  const { directory, report } = await finish(source.directory, { ...run, method: 'gptq' });
  const { tensors } = await Checkpoint.open(directory);
  const shapes = (of: Checkpoint['tensors']) =>
    [...of.values()].map(({ name, shape, dtype }) => `${name} ${dtype} [${shape}]`).sort();
  expect(shapes(tensors)).toEqual(shapes(source.tensors));
  expect(tensors.get(`${list}.gate_up_proj`)?.shape).toEqual([4, 64, 192]);
  expect(tensors.get(`${list}.down_proj_bias`)?.shape).toEqual([4, 64]);
  expect(report.layers.map(({ name }) => name)).toContain(`${list}.3.down_proj`);
});

/** Whole samples through the float model; what each linear of a block reads there, in the order of `visit`. */
async function forEachInput(
  source: Checkpoint,
  model: LanguageModel,
  index: number,
  visit: (name: string, input: Tensor) => void,
) {
  const samples = await windowsOf(source.directory, exampleText, run.samples, run.sequenceLength);
  const context = { device, sequence: run.sequenceLength };
  using embedding = await loadWeights(device, source, model.embedTensors);
  const ids = Int32Array.from(samples.flatMap((sample) => [...sample]));
  let [x] = await embed(model, embedding, [ids], context);
  for (let i = 0; i <= index; i++) {
    using block = await loadBlock(device, source, model, i);
    const runBlock = blockRunner(model, block.weights, context, i);
    const plain = executor(device, (name) => linearOf(block, name));
    const state = x;
    if (state === undefined) throw new Error('No samples.');
    const route = await routeOf(shapeOf(model, i), (toRouter) =>
      runBlock(state, plain, { route: toRouter }),
    );
    x = runBlock(
      state,
      (name, input, options) => {
        if (i === index) visit(name, input);
        return plain(name, input, options);
      },
      { route },
    );
  }
}

it('leaves no mean error in what an expert makes of its own tokens', async () => {
  const directory = await randomModel();
  const { directory: result } = await finish(directory, {
    ...{ ...run, bits: 3, method: 'rtn', heldOut: 0, sampling: 'sequential' },
    ...{ propagate: 'float', shrinkage: 0 },
  });
  const open = async (path: string) => {
    const stored = await Checkpoint.open(path);
    const model = readModel(stored.config, new Set(stored.tensors.keys()));
    return { model, checkpoint: readAs(model, stored) };
  };
  const [float, quantized] = [await open(directory), await open(result)];
  using own = await loadBlock(device, float.checkpoint, float.model, 1);
  using rounded = await loadBlock(device, quantized.checkpoint, quantized.model, 1);
  const errors: { name: string; mean: number; without: number }[] = [];
  const pending: Promise<void>[] = [];
  const meanOf = async (y: Tensor) => {
    const values = await y.readFloat32();
    const means = Array.from({ length: y.cols }, (_, channel) => {
      let sum = 0;
      for (let row = 0; row < y.rows; row++) sum += values[row * y.cols + channel] ?? Number.NaN;
      return sum / y.rows;
    });
    return Math.hypot(...means);
  };
  await forEachInput(float.checkpoint, float.model, 1, (name, input) => {
    if (!name.includes('.experts.') || input.rows === 0) return;
    const [w, q] = [linearOf(own, name), linearOf(rounded, name)];
    const y = device.matmul(input, w.weight, { bias: w.bias });
    const withBias = device.subtract(y, device.matmul(input, q.weight, { bias: q.bias }));
    const without = device.subtract(y, device.matmul(input, q.weight, { bias: w.bias }));
    pending.push(
      Promise.all([meanOf(withBias), meanOf(without)]).then(([mean, before]) => {
        errors.push({ name, mean, without: before });
      }),
    );
  });
  await Promise.all(pending);
  expect(errors.length).toBeGreaterThanOrEqual(6);
  for (const { name, mean, without } of errors) {
    expect(without, name).toBeGreaterThan(0.01);
    expect(mean / without, name).toBeLessThan(1e-3);
  }
});

it('is the same result in parts of a shard, and once more from itself', async () => {
  const model = await randomModel();
  const options = { ...run, method: 'gptq' } as const;
  const whole = await finish(model, options);
  const sharded = await finish(model, { ...options, maxShardBytes: 200_000 });
  const names = Object.keys(await filesOf(sharded));
  expect(names).toContain('model.safetensors.index.json');
  const index = JSON.parse(
    await readFile(join(sharded.directory, 'model.safetensors.index.json'), 'utf8'),
  );
  expect(Object.keys(index.weight_map)).toContain(`${list}.gate_up_proj`);
  const again = join(await temporaryFolder(), 'again');
  await exportResult(sharded.directory, { output: again, format: 'huggingface' });
  const figures = await Promise.all(
    [whole.directory, sharded.directory, again].map(async (directory) => {
      await verify(directory);
      return (await evaluate(directory, evaluation)).results[0]?.perplexity;
    }),
  );
  expect(new Set(figures).size).toBe(1);
});

it('tells a changed byte of an expert', async () => {
  const { directory } = await finish(await randomModel(), { ...run, method: 'rtn' });
  const { tensors } = await Checkpoint.open(directory);
  const { file = '', offset = 0, bytes: size = 0 } = tensors.get(`${list}.down_proj`) ?? {};
  const bytes = await readFile(file);
  bytes[offset + size - 2] = (bytes[offset + size - 2] ?? 0) ^ 1;
  await writeFile(file, bytes);
  await expect(verify(directory)).rejects.toThrow(`${list}.3.down_proj: the weight or bias`);
});

it('is searched for the sites that help', async () => {
  const output = join(await temporaryFolder(), 'result');
  const options = { ...run, output, calibration: exampleText, method: 'rtn' } as const;
  const results: string[] = [];
  for await (const event of search(await randomModel(), options)) {
    if (event.type === 'done') results.push(...event.report.layers.map(({ name }) => name));
  }
  expect(results).toContain(`${list}.3.down_proj`);
  expect(await verify(output)).toMatchObject({ linears: 2 * (4 + 4 * 2) });
});

it.skipIf(gpus.length === 0)('gives on a GPU what it gives on a CPU', async () => {
  const model = await randomModel();
  const options = { ...run, samples: 4, sequenceLength: 32, heldOut: 0, method: 'rtn' } as const;
  const [cpu, gpu] = [
    await finish(model, { ...options, device: 'cpu' }),
    await finish(model, { ...options, device: gpus[0] ?? '' }),
  ];
  for (const [i, { name, error, errorWithBias }] of gpu.report.layers.entries()) {
    const expected = cpu.report.layers[i];
    expect(Math.abs(error / (expected?.error ?? Number.NaN) - 1), name).toBeLessThan(1e-3);
    // Of a single token a bias makes good all.
    const difference = errorWithBias - (expected?.errorWithBias ?? Number.NaN);
    expect(Math.abs(difference) / error, name).toBeLessThan(1e-3);
  }
});

describe('a source in MXFP4', () => {
  const root = join(import.meta.dirname, '../checkpoint/mxfp4');

  /** And the float model that it stands for, as transformers dequantized it. */
  async function copies() {
    const folder = await temporaryFolder();
    const [stored, float] = [join(folder, 'stored'), join(folder, 'float')];
    const { directory: beside } = await randomLlama();
    const config = JSON.parse(await readFile(join(root, 'config.json'), 'utf8'));
    const { quantization_config: _none, ...plain } = config;
    for (const [path, file, own] of [
      [stored, 'model.safetensors', config],
      [float, 'golden.safetensors', plain],
    ] as const) {
      await mkdir(path);
      await copyFile(join(root, file), join(path, 'model.safetensors'));
      await writeFile(join(path, 'config.json'), JSON.stringify(own));
      for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
        await copyFile(join(beside, name), join(path, name));
      }
    }
    return { stored, float };
  }

  it('gives what the float model gives, byte by byte', async () => {
    const { stored, float } = await copies();
    const options = { ...run, method: 'gptq', groupSize: 16 } as const;
    const [found, expected] = [await finish(stored, options), await finish(float, options)];
    expect(await filesOf(found)).toEqual(await filesOf(expected));
    const [one, other] = [await evaluate(stored, evaluation), await evaluate(float, evaluation)];
    expect(one.results).toEqual(other.results);
    const { config, tensors } = await Checkpoint.open(found.directory);
    expect(config).not.toHaveProperty('quantization_config');
    expect(tensors.get('model.layers.0.mlp.experts.gate_up_proj')?.dtype).toBe('bfloat16');
  });

  it('is told as what it is', async () => {
    const { stored } = await copies();
    expect(await inspect(stored)).toMatchObject({ quantizationMethod: 'mxfp4', linears: 10 });
  });
});

describe('refuses formats that hold no such experts', () => {
  it.each([
    ['compressed-tensors', { symmetric: true, scaleDtype: 'float16' }],
    ['gptq', { symmetric: true, scaleDtype: 'float16' }],
    ['gguf', { symmetric: true }],
  ] as [string, Partial<QuantizeOptions>][])('%s', async (format, grid) => {
    const failed = finish(await randomModel(), { ...run, ...grid, method: 'rtn', format });
    await expect(failed).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message: expect.stringMatching(/^Expected .* gpt_oss.*\.$/),
    });
  });
});
