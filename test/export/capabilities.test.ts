// Which biases survive, for every architecture, format and client: those of transformers as its own classes save them
// (fixtures/transformers-biases.json, by scripts/verify/biases-in-transformers.py), those of vLLM as its source reads.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { resultConfig } from '../../lib/export/capabilities.js';
import { biasCapability, findFormat, readByUsAlone } from '../../lib/export/index.js';
import { architectures, readBlockModel, visionArchitectures } from '../../lib/models/index.js';
import { type Config, directoryOf, variants } from '../models/tiny.js';
import { finish } from '../pipeline/runs.js';
import { exampleModel } from '../places.js';
import * as vision from '../vision/fixtures.js';
import { baseGrid, randomLlama } from './random-llama.js';

type Found = Record<string, { fields: string[]; biases: string[] }>;
const found: Found = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fixtures/transformers-biases.json'), 'utf8'),
);

const directories = new Map([
  ...variants.map((variant) => [variant, directoryOf(variant)] as const),
  ...vision.variants.map((variant) => [variant, vision.directoryOf(variant)] as const),
]);

async function open(variant: string) {
  const { config, tensors } = await Checkpoint.open(directories.get(variant) ?? variant);
  return readBlockModel(config, new Set(tensors.keys()));
}

const attention = ['q', 'k', 'v', 'o'].map((name) => `self_attn.${name}_proj`);
const mlp = ['gate', 'up', 'down'].map((name) => `mlp.${name}_proj`);

const latent = ['q_a_proj', 'kv_a_proj_with_mqa', 'o_proj'].map((name) => `self_attn.${name}`);

/** Linears whose bias transformers announces and reads, and vLLM's class does not own. */
const notOwned: Readonly<Record<string, readonly string[]>> = {
  cohere: attention,
  cohere2: attention,
  deepseek_v2: latent,
  deepseek_v3: latent,
  ernie4_5: [...attention, ...mlp],
  gemma: attention,
  glm4_moe_lite: latent,
  olmoe: attention,
  qwen3: ['self_attn.o_proj'],
  qwen3_5: attention,
  qwen3_5_moe: attention,
  qwen3_5_moe_text: attention,
  qwen3_5_text: attention,
  qwen3_moe: ['self_attn.o_proj'],
  qwen3_next: attention,
  qwen3_vl: ['self_attn.o_proj'],
  qwen3_vl_moe: ['self_attn.o_proj'],
};

/** Whose linears have biases in vLLM alone, where the class is LLaMA's. */
const ofVllmAlone = ['exaone4', 'ministral3', 'mistral', 'mistral3'];

/** And whose bias llama.cpp has no tensor for. */
const behindProjections = ['self_attn.o_proj', ...mlp];
const behindFused = ['self_attn.o_proj', 'mlp.gate_up_proj', 'mlp.down_proj'];
const notInLlamaCpp: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(
    [
      ...['cohere', 'cohere2', 'dots1', 'ernie4_5', 'ernie4_5_moe', 'exaone4', 'gemma', 'gemma2'],
      ...['gemma3', 'gemma3_text', 'glm4_moe', 'olmo2', 'olmo3', 'qwen2_5_vl', 'qwen2_vl'],
      ...['qwen3', 'qwen3_vl', 'seed_oss', 'smollm3', 'solar_open', 'stablelm'],
    ].map((type) => [type, behindProjections]),
  ),
  ...Object.fromEntries(['glm', 'glm4', 'phi3'].map((type) => [type, behindFused])),
  ...Object.fromEntries(
    ['minimax_m2', 'olmoe', 'qwen2_moe', 'qwen3_moe'].map((type) => [type, ['self_attn.o_proj']]),
  ),
};

/** Names of the fields that announce biases, those of nested objects after the object's. */
function announced(fields: Config = {}): string[] {
  return Object.entries(fields).flatMap(([name, value]) =>
    typeof value === 'object' && value !== null
      ? announced(value as Config).map((inner) => `${name}.${inner}`)
      : name.endsWith('_bias') && value === true
        ? [name]
        : [],
  );
}

describe.each([...directories.keys()])('%s', (variant) => {
  it('keeps in transformers what its classes save', async () => {
    const model = await open(variant);
    const { fields = [], biases = [] } = found[variant] ?? {};
    const expected = ofVllmAlone.includes(model.modelType) ? [] : announced(model.biasFields);
    expect(expected.sort()).toEqual(fields);
    for (const format of ['huggingface', 'compressed-tensors', 'gptq']) {
      const { client, read } = biasCapability(model, findFormat(format));
      expect(client).toBe('transformers');
      const names = [...read].map((name) => `${model.blockName(0)}.${name}`).sort();
      expect(names, format).toEqual(biases);
    }
  });

  it('loses nothing in vLLM but what its class does not own', async () => {
    const model = await open(variant);
    for (const format of ['huggingface', 'compressed-tensors', 'gptq']) {
      if (visionArchitectures.some(({ modelType }) => modelType === model.modelType)) {
        expect(() => biasCapability(model, findFormat(format), 'vllm')).toThrow(
          `Expected a model that vllm loads but it has no class for ${model.modelType}; choose another client.`,
        );
        continue;
      }
      // Its class fails to take packed weights apart (scripts/verify/in-vllm.py).
      if (model.modelType === 'bloom' && format !== 'huggingface') {
        expect(() => biasCapability(model, findFormat(format), 'vllm')).toThrow(
          `Expected a format that vllm loads of ${model.modelType} but received ${format}; use format huggingface.`,
        );
        continue;
      }
      const inTransformers = biasCapability(model, findFormat(format), 'transformers').read;
      const { read, dropped } = biasCapability(model, findFormat(format), 'vllm');
      const lost = [...inTransformers].filter((name) => !read.has(name));
      const missing = notOwned[model.modelType] ?? [];
      // Queries are made of a latent or not.
      const own = missing.filter((name) => model.linears.some((linear) => linear.name === name));
      expect(lost).toEqual(own);
      const gained = [...read].filter((name) => !inTransformers.has(name));
      expect(gained).toEqual(ofVllmAlone.includes(model.modelType) ? [...attention, ...mlp] : []);
      expect([...read, ...dropped].sort()).toEqual(model.linears.map(({ name }) => name).sort());
    }
  });

  it('keeps all in llama.cpp and ONNX Runtime but what has no place there', async () => {
    const model = await open(variant);
    const ofExperts = model.linears.filter(({ stage, bias }) => stage !== undefined && !bias);
    const experts = ofExperts.map(({ name }) => name);
    const { dropped } = biasCapability(model, findFormat('gguf'));
    const missing = notInLlamaCpp[model.modelType] ?? [];
    const own = missing.filter((name) => model.linears.some((linear) => linear.name === name));
    expect([...dropped].sort()).toEqual([...own, ...experts].sort());
    expect(biasCapability(model, findFormat('onnx')).dropped).toEqual(experts);
  });
});

it('quantized activations and biases per position are our own evaluator’s, but in ONNX', () => {
  const both = { activationBits: 8, compensation: 'position' };
  for (const format of ['huggingface', 'compressed-tensors', 'gptq', 'gguf'].map(findFormat)) {
    expect(readByUsAlone(format, both)).toEqual(['quantized activations', 'biases per position']);
    expect(readByUsAlone(format, { activationBits: 0, compensation: 'channel' })).toEqual([]);
  }
  expect(readByUsAlone(findFormat('onnx'), both)).toEqual([]);
});

it('every architecture is among these', async () => {
  const known = [...architectures, ...visionArchitectures].map(({ modelType }) => modelType);
  const types = await Promise.all(
    [...directories.values()].map(
      async (directory) => (await Checkpoint.open(directory)).config.model_type,
    ),
  );
  expect([...new Set(types)].sort()).toEqual(known.sort());
});

it('a result is called what clients call the class', async () => {
  const checkpoint = await Checkpoint.open(directoryOf('kimi-k2'));
  const input = { config: checkpoint.config, model: await open('kimi-k2') };
  expect(checkpoint.config).toMatchObject({ model_type: 'kimi_k2' });
  expect(resultConfig({ ...input, addBiases: false })).toMatchObject({ model_type: 'deepseek_v3' });
});

it('a client that does not read the format is refused', async () => {
  await expect(finish(exampleModel, { client: 'llama.cpp' })).rejects.toMatchObject({
    code: 'ERR_ARGUMENT',
    message:
      'Expected one of transformers, vllm for client with format huggingface but received llama.cpp.',
  });
});

it.each([
  [{ bits: 3 }, '4 or 8 for bits', '3'],
  [{ bits: 4, symmetric: false }, 'true for symmetric', 'false'],
  [{ bits: 4, groupSize: 32, actOrder: true }, 'staticGroups with actOrder', 'actOrder alone'],
])('a grid %j that vLLM does not load is refused for it', async (grid, expected, received) => {
  const run = { format: 'gptq', method: 'gptq', symmetric: true, ...grid };
  await expect(finish(exampleModel, { ...run, client: 'vllm' })).rejects.toMatchObject({
    code: 'ERR_ARGUMENT',
    message:
      `Expected ${expected} for format gptq with client vllm, which loads no other, but received ${received}; ` +
      'use format compressed-tensors.',
  });
  expect(() =>
    findFormat('gptq').expectGrid?.({ ...baseGrid, symmetric: true, ...grid }),
  ).not.toThrow();
});

describe('a run', () => {
  const run = { bits: 4, samples: 4, sequenceLength: 32, heldOut: 0 };

  it.each([
    ['qwen2', 'transformers', ['q_proj', 'k_proj', 'v_proj']],
    ['qwen3', 'transformers', ['q_proj', 'k_proj', 'v_proj', 'o_proj']],
    ['qwen3', 'vllm', ['q_proj', 'k_proj', 'v_proj']],
    ['mistral', 'transformers', []],
    [
      'mistral',
      'vllm',
      ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
    ],
  ] as const)(
    'of %s for %s fits those alone, and says which it does not',
    async (model_type, client, fitted) => {
      const changes = { model_type, sliding_window: null, head_dim: 16 };
      const { directory } = await randomLlama(changes);
      const { directory: result, report } = await finish(directory, { ...run, client });
      const last = (name: string) => name.split('.').at(-1) ?? '';
      const kept = report.layers.filter(({ biasKept }) => biasKept).map(({ name }) => last(name));
      expect(new Set(kept)).toEqual(new Set(fitted));
      expect(report.dropped.map(last)).toEqual(
        ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'].filter(
          (name) => !(fitted as readonly string[]).includes(name),
        ),
      );
      const { tensors } = await Checkpoint.open(result);
      const announced = (fitted as readonly string[]).includes('up_proj');
      expect(tensors.has('model.layers.0.mlp.up_proj.bias')).toBe(announced);
    },
  );
});
