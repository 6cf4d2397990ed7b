// Models whose attention is linear in most blocks, quantized from end to end; and experts that the checkpoint holds as one
// tensor, which are those of a checkpoint that holds each.

import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { SafetensorsWriter } from '../../lib/checkpoint/output/safetensors-writer.js';
import type { TensorInfo } from '../../lib/checkpoint/tensor-info.js';
import {
  evaluate,
  exportResult,
  inspect,
  type QuantizeOptions,
  quantize,
  verify,
} from '../../lib/index.js';
import { randomLlama } from '../export/random-llama.js';
import { gpus } from '../native/harness.js';
import { exampleText, shortTestText, temporaryFolder } from '../places.js';
import { type Finished, finish } from './runs.js';

/** Two blocks of linear attention and one of scores, each with four experts and one that all tokens go through. */
const hybrid = {
  model_type: 'qwen3_5_moe_text',
  architectures: ['Qwen3_5MoeForCausalLM'],
  num_hidden_layers: 3,
  head_dim: 32,
  rope_parameters: { rope_type: 'default', rope_theta: 10000, partial_rotary_factor: 0.25 },
  layer_types: ['linear_attention', 'full_attention', 'linear_attention'],
  linear_num_key_heads: 2,
  linear_num_value_heads: 4,
  linear_key_head_dim: 16,
  linear_value_head_dim: 16,
  num_experts: 4,
  num_experts_per_tok: 2,
  moe_intermediate_size: 32,
  shared_expert_intermediate_size: 64,
};
const linears = 2 * 3 + 4 + 3 * 3 * 5;

const randomHybrid = async () => (await randomLlama(hybrid, 'float32', 0.2)).directory;

const run = { bits: 4, groupSize: 32, samples: 8, sequenceLength: 64, heldOut: 0.25 } as const;
const evaluation = { texts: [shortTestText], sequenceLength: 64 };

async function perplexityOf(directory: string): Promise<number> {
  const { results } = await evaluate(directory, evaluation);
  return results[0]?.perplexity ?? Number.NaN;
}

it.each<[string, Partial<QuantizeOptions>]>([
  ['rtn', {}],
  ['gptq', {}],
  ['descent', {}],
  ['gptq in bfloat16', { precision: 'bfloat16' }],
])('%s quantizes every linear', async (name, options) => {
  const [method = ''] = name.split(' ');
  const model = await randomHybrid();
  const { directory, report } = await finish(model, { ...run, ...options, method });
  expect(report.layers).toHaveLength(linears);
  const own = report.layers.filter(({ name }) => name.includes('.linear_attn.'));
  expect(own.map(({ name }) => name.split('.').at(-1)).slice(0, 3)).toEqual([
    'in_proj_qkv',
    'in_proj_z',
    'out_proj',
  ]);
  for (const { error, errorWithBias } of report.layers) {
    expect(error).toBeLessThan(0.1);
    expect(errorWithBias).toBeLessThanOrEqual(error);
  }
  expect(await verify(directory)).toMatchObject({ linears });
  expect(Math.abs((await perplexityOf(directory)) / (await perplexityOf(model)) - 1)).toBeLessThan(
    0.2,
  );
});

it('is packed with decays, write strengths and convolutions as they are', async () => {
  const model = await randomHybrid();
  const options = { ...run, method: 'gptq', symmetric: true, scaleDtype: 'float16' } as const;
  const plain = await finish(model, options);
  const packed = join(await temporaryFolder(), 'packed');
  await exportResult(plain.directory, { output: packed, format: 'compressed-tensors' });
  const { tensors, config } = await Checkpoint.open(packed);
  const { ignore } = config.quantization_config as { ignore: string[] };
  for (const name of ['in_proj_a', 'in_proj_b']) {
    expect(tensors.has(`model.layers.0.linear_attn.${name}.weight`)).toBe(true);
    const patterns = ignore.map((pattern) => new RegExp(pattern.replace(/^re:/, '')));
    expect(patterns.some((each) => each.test(`model.layers.2.linear_attn.${name}`))).toBe(true);
  }
  expect(tensors.has('model.layers.0.linear_attn.in_proj_qkv.weight_packed')).toBe(true);
  expect(tensors.get('model.layers.0.linear_attn.conv1d.weight')?.shape).toEqual([128, 1, 4]);
  const ratio = (await perplexityOf(plain.directory)) / (await perplexityOf(packed));
  expect(Math.abs(ratio - 1)).toBeLessThan(1e-5);
});

it.skipIf(gpus.length === 0)('gives on a GPU what it gives on a CPU', async () => {
  const model = await randomHybrid();
  const sampling = { ...run, samples: 4, sequenceLength: 32, heldOut: 0, method: 'rtn' };
  const errorsOn = async (device: string) =>
    (await finish(model, { ...sampling, device })).report.layers.map(({ error }) => error);
  const expected = await errorsOn('cpu');
  for (const [i, error] of (await errorsOn(gpus[0] ?? '')).entries()) {
    expect(Math.abs(error / (expected[i] ?? Number.NaN) - 1)).toBeLessThan(1e-3);
  }
});

const bytesOf = async ({ file, offset, bytes }: TensorInfo) =>
  (await readFile(file)).subarray(offset, offset + bytes);

/** The checkpoint with the experts of each block as two tensors, [experts, out, in], gates above ups. */
async function fused(source: Checkpoint): Promise<string> {
  const directory = join(await temporaryFolder(), 'fused');
  await mkdir(directory);
  const kept: TensorInfo[] = [];
  const experts = new Map<string, TensorInfo[]>();
  for (const info of source.tensors.values()) {
    const [, list, , part] = /^(.*\.experts)\.(\d+)\.(gate|up|down)_proj/.exec(info.name) ?? [];
    if (list === undefined) kept.push(info);
    else {
      const name = `${list}.${part === 'down' ? 'down' : 'gate_up'}_proj`;
      experts.set(name, [...(experts.get(name) ?? []), info]);
    }
  }
  const order = ({ name }: TensorInfo) => {
    const [, expert, part] = /experts\.(\d+)\.(gate|up|down)/.exec(name) ?? [];
    return 2 * Number(expert) + Number(part === 'up');
  };
  const plan = [...experts].map(([name, parts]) => {
    const [rows = 0, columns = 0] = parts[0]?.shape ?? [];
    const high = (parts.length / hybrid.num_experts) * rows;
    return { name, shape: [hybrid.num_experts, high, columns], dtype: 'float32' as const };
  });
  const writer = await SafetensorsWriter.create(directory, [
    ...kept.map(({ name, shape }) => ({ name, shape, dtype: 'float32' as const })),
    ...plan,
  ]);
  for (const info of kept) await writer.write(info.name, await bytesOf(info));
  for (const [name, parts] of experts) {
    const sorted = parts.toSorted((a, b) => order(a) - order(b));
    await writer.write(name, Buffer.concat(await Promise.all(sorted.map(bytesOf))));
  }
  await writer.close();
  for (const file of ['config.json', 'tokenizer.json', 'tokenizer_config.json']) {
    await copyFile(join(source.directory, file), join(directory, file));
  }
  return directory;
}

/** Hashes of what a result's tensors hold, by name: their order in the file is the source's. */
async function tensorsOf({ directory }: Finished): Promise<Record<string, string>> {
  const { tensors } = await Checkpoint.open(directory);
  const names = [...tensors.keys()].sort();
  const hash = async (name: string) => {
    const info = tensors.get(name) as TensorInfo;
    return [
      name,
      createHash('sha256')
        .update(await bytesOf(info))
        .digest('hex'),
    ] as const;
  };
  return Object.fromEntries(await Promise.all(names.map(hash)));
}

it('reads experts that are one tensor as those of a checkpoint that holds each', async () => {
  const source = await Checkpoint.open(await randomHybrid());
  const directory = await fused(source);
  const [apart, together] = [await inspect(source.directory), await inspect(directory)];
  expect(together).toMatchObject({ linears, parameters: apart.parameters });
  expect(together.tensors).toBe(apart.tensors - 3 * (3 * 4 - 2));
  expect(await perplexityOf(directory)).toBe(await perplexityOf(source.directory));
  const options = { ...run, method: 'gptq' };
  const [one, other]: Finished[] = [
    await finish(source.directory, options),
    await finish(directory, options),
  ];
  expect(await tensorsOf(other as Finished)).toEqual(await tensorsOf(one as Finished));
  // Of a packed result what was not quantized is taken from the model that it was made from.
  const packing = { ...run, method: 'rtn', symmetric: true, scaleDtype: 'float16' } as const;
  const packed = await finish(directory, { ...packing, format: 'compressed-tensors' });
  const plain = join(await temporaryFolder(), 'plain');
  await exportResult(packed.directory, { output: plain, format: 'huggingface' });
  const ratio = (await perplexityOf(plain)) / (await perplexityOf(packed.directory));
  expect(Math.abs(ratio - 1)).toBeLessThan(1e-5);
});

it('refuses fused experts of another count', async () => {
  const directory = await fused(await Checkpoint.open(await randomHybrid()));
  const model = await Checkpoint.open(directory);
  const name = 'model.layers.0.mlp.experts.gate_up_proj';
  const info = model.tensor(name);
  expect(info.shape).toEqual([4, 64, 64]);
  const events = quantize(directory, {
    ...{ ...run, method: 'rtn', calibration: exampleText },
    output: join(await temporaryFolder(), 'result'),
  });
  await writeFile(
    join(directory, 'config.json'),
    JSON.stringify({ ...model.config, num_experts: 5 }),
  );
  await expect(events.next()).rejects.toMatchObject({
    code: 'ERR_CHECKPOINT',
    message: expect.stringContaining(
      `Expected 320 rows of ${name}, as config.json says, but ${info.file} holds 256, [4, 64, 64]; the file is damaged,`,
    ),
  });
});
