// Configurations and checkpoints that cannot be: one error each, of the right code, that names what is wrong.

import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { SafetensorsWriter } from '../../lib/checkpoint/output/safetensors-writer.js';
import { Device } from '../../lib/device/index.js';
import { readModel } from '../../lib/models/index.js';
import { type Config, configOf, directoryOf, goldenOf, logitsOf, openModel } from './tiny.js';

/** One checkpoint of each architecture, and its names of what they all have. */
const usual = { hidden: 'hidden_size', heads: 'num_attention_heads', depth: 'num_hidden_layers' };
const subjects = [
  { variant: 'llama', ...usual },
  { variant: 'mistral-window', ...usual },
  { variant: 'qwen2', ...usual },
  { variant: 'qwen3', ...usual },
  { variant: 'gemma2', ...usual },
  { variant: 'gemma', ...usual },
  { variant: 'gemma3-text', ...usual },
  { variant: 'gemma4-text', ...usual },
  { variant: 'glm', ...usual },
  { variant: 'glm4-no-biases', ...usual },
  { variant: 'granite', ...usual },
  { variant: 'ernie4-5', ...usual },
  { variant: 'seed-oss', ...usual },
  { variant: 'smollm3', ...usual },
  { variant: 'ministral', ...usual },
  { variant: 'ministral3', ...usual },
  { variant: 'olmo2', ...usual },
  { variant: 'olmo3', ...usual },
  { variant: 'bloom', hidden: 'hidden_size', heads: 'n_head', depth: 'n_layer' },
  { variant: 'gpt2', hidden: 'n_embd', heads: 'n_head', depth: 'n_layer' },
  { variant: 'gpt-bigcode', hidden: 'n_embd', heads: 'n_head', depth: 'n_layer' },
  { variant: 'gpt-neox', ...usual },
  { variant: 'starcoder2-window', ...usual },
  { variant: 'stablelm', ...usual },
  { variant: 'exaone4', ...usual },
  { variant: 'helium', ...usual },
  { variant: 'cohere', ...usual },
  { variant: 'cohere2-biases', ...usual },
  { variant: 'phi', ...usual },
  { variant: 'phi3', ...usual },
  { variant: 'opt-pre-norm', ...usual },
  { variant: 'deepseek-v2', ...usual },
  { variant: 'deepseek-v3', ...usual },
  { variant: 'glm4-moe-lite-groups', ...usual },
];

let device: Device;
let folder: string;
beforeAll(async () => {
  device = Device.open('cpu', { threads: 2 });
  folder = await mkdtemp(join(tmpdir(), 'ballast-models-'));
});
afterAll(async () => {
  device.close();
  await rm(folder, { recursive: true });
});

const read = (variant: string, fields: Config) => () =>
  readModel({ ...configOf(variant), ...fields }, new Set());

const nested = (variant: string): Config => configOf(variant).text_config as Config;

const error = (code: string, ...parts: string[]) =>
  expect.objectContaining({
    code,
    message: expect.stringMatching(
      new RegExp(parts.map((part) => part.replaceAll('.', '\\.')).join('.*')),
    ),
  });

/** A copy of a tiny checkpoint without one tensor, or with the tensor cut to half its rows. */
async function damaged(
  variant: string,
  name: string,
  how: 'absent' | 'halved',
): Promise<Checkpoint> {
  const source = await Checkpoint.open(directoryOf(variant));
  const target = await mkdtemp(join(folder, 'checkpoint-'));
  await cp(join(directoryOf(variant), 'config.json'), join(target, 'config.json'));
  const kept = [...source.tensors.values()].filter(
    (info) => how === 'halved' || info.name !== name,
  );
  const plan = kept.map(({ name: each, dtype, shape: [first = 1, ...rest] }) => ({
    name: each,
    dtype,
    shape: [each === name ? first / 2 : first, ...rest],
  }));
  const writer = await SafetensorsWriter.create(target, plan, { maxShardBytes: 1e9 });
  for (const { name: each, shape } of plan) {
    await writer.write(
      each,
      new Uint8Array(4 * shape.reduce((product, extent) => product * extent)),
    );
  }
  await writer.close();
  return Checkpoint.open(target);
}

async function run(checkpoint: Checkpoint, variant: string): Promise<Float32Array> {
  const { ids, sequence } = await goldenOf(variant);
  return logitsOf(device, checkpoint, openModel(checkpoint), ids, sequence);
}

describe.each(subjects)('$variant', ({ variant, hidden, heads, depth }) => {
  test.each<[string, Config, string]>([
    ['no depth', { [depth]: undefined }, depth],
    ['a depth in words', { [depth]: 'two' }, depth],
    ['half a block', { [depth]: 1.5 }, depth],
    ['a depth whose lists would fill the memory', { [depth]: 1e9 }, depth],
    ['a width of zero', { [hidden]: 0 }, hidden],
    ['no vocabulary', { vocab_size: null }, 'vocab_size'],
    ['heads that are a list', { [heads]: [4] }, heads],
  ])('%s', (_, fields, field) => {
    expect(read(variant, fields)).toThrow(error('ERR_CHECKPOINT', field, 'config.json'));
  });

  test('heads that do not divide', () => {
    const fields = { [heads]: 5, head_dim: undefined };
    const gemmas = ['gemma', 'gemma2', 'gemma3-text', 'gemma4-text'];
    const withOwnHeads = ['qwen3', ...gemmas, 'glm', 'glm4-no-biases'];
    const latent = ['deepseek-v2', 'deepseek-v3', 'glm4-moe-lite-groups'];
    const odd = [...withOwnHeads, ...latent, 'ernie4-5', 'seed-oss', 'helium'].includes(variant)
      ? 'num_key_value_heads'
      : heads;
    expect(read(variant, fields)).toThrow(error('ERR_CHECKPOINT', 'divide', 'config.json'));
    expect(read(variant, fields)).toThrow(odd);
  });

  test('a missing tensor of a block, of the embedding, of the head', async () => {
    const model = openModel(await Checkpoint.open(directoryOf(variant)));
    const block = model.blockName(1);
    const names = [
      `${block}.${model.linears.at(-1)?.name}.weight`,
      `${block}.${model.blockTensors[0]}`,
      model.embedTensors[0] ?? '',
      model.headTensors.at(-1) ?? '',
    ];
    for (const name of names) {
      const checkpoint = await damaged(variant, name, 'absent');
      // A missing name may change how the others are read, so any name may be the first that is missed.
      await expect(run(checkpoint, variant), name).rejects.toThrow(
        error('ERR_CHECKPOINT', 'tensor'),
      );
    }
  });

  test('a linear and a norm of another size', async () => {
    const model = openModel(await Checkpoint.open(directoryOf(variant)));
    const linear = `${model.blockName(0)}.${model.linears[0]?.name}.weight`;
    await expect(run(await damaged(variant, linear, 'halved'), variant)).rejects.toThrow(
      error('ERR_CHECKPOINT', linear, 'config.json'),
    );
    const norm = model.blockTensors[0] ?? '';
    await expect(
      run(await damaged(variant, `${model.blockName(0)}.${norm}`, 'halved'), variant),
    ).rejects.toThrow(error('ERR_CHECKPOINT', norm, 'config.json'));
  });
});

describe('variants that are not implemented are refused by the name of their field', () => {
  test.each<[string, Config, string]>([
    ['llama', { rope_parameters: { rope_type: 'ntk', factor: 4 } }, 'rope_parameters.rope_type'],
    ['phi', { rope_parameters: undefined, rope_scaling: { type: 'mrope' } }, 'rope_scaling.type'],
    ['llama', { partial_rotary_factor: 0.5 }, 'partial_rotary_factor'],
    [
      'qwen2',
      { rope_parameters: { partial_rotary_factor: 0.5 } },
      'rope_parameters.partial_rotary_factor',
    ],
    [
      'gemma2',
      { rope_parameters: { full_attention: { rope_theta: 1e6 } } },
      'rope_parameters.full_attention',
    ],
    ['llama', { is_causal: false }, 'is_causal'],
    ['gemma3', { text_config: { is_causal: false } }, 'text_config.is_causal'],
    ['gemma2', { use_bidirectional_attention: true }, 'use_bidirectional_attention'],
    ['gemma3-text', { use_bidirectional_attention: true }, 'use_bidirectional_attention'],
    ['gemma3-text', { attn_logit_softcapping: 50 }, 'attn_logit_softcapping'],
    ['gemma3-text', { sliding_window: null }, 'sliding_window'],
    ['gemma3-text', { rope_scaling: { rope_type: 'linear', factor: 8 } }, 'rope_scaling'],
    [
      'gemma3-text',
      { rope_parameters: null, rope_scaling: { type: 'linear', factor: 8 } },
      'rope_scaling.type',
    ],
    ['gemma3', { text_config: { final_logit_softcapping: 30 } }, 'final_logit_softcapping'],
    ['olmo3', { rope_theta: 10000 }, 'rope_theta'],
    ['gemma3-text', { rope_parameters: { rope_theta: 1e6 } }, 'rope_parameters.rope_theta'],
    [
      'gemma3-text',
      { rope_parameters: { full_attention: { rope_type: 'mrope' } } },
      'rope_parameters.full_attention.rope_type',
    ],
    ['gemma3', { tie_word_embeddings: false }, 'tie_word_embeddings'],
    [
      'qwen3-vl-moe',
      { text_config: { ...nested('qwen3-vl-moe'), norm_topk_prob: false } },
      'text_config.norm_topk_prob',
    ],
    ['gemma4-text', { use_bidirectional_attention: 'all' }, 'use_bidirectional_attention'],
    ['gemma4-text', { hidden_size_per_layer_input: 256 }, 'hidden_size_per_layer_input'],
    ['gemma4-text', { hidden_size_per_layer_input: undefined }, 'hidden_size_per_layer_input'],
    ['gemma4-text', { num_kv_shared_layers: 1 }, 'num_kv_shared_layers'],
    [
      'gemma4-text',
      { per_layer_config: { 1: { intermediate_size: 8 } } },
      'per_layer_config.1.intermediate_size',
    ],
    ['phi', { qk_layernorm: true }, 'qk_layernorm'],
    ['stablelm', { qk_layernorm: true }, 'qk_layernorm'],
    ['cohere', { use_qk_norm: true }, 'use_qk_norm'],
    ['cohere2-biases', { sliding_window: null }, 'sliding_window'],
    ['phi3', { attention_bias: true }, 'attention_bias'],
    ['phi3', { lm_head_bias: true }, 'lm_head_bias'],
    ['phi3', { rope_parameters: undefined, rope_scaling: { type: 'yarn' } }, 'rope_scaling.type'],
    ['gpt2', { add_cross_attention: true }, 'add_cross_attention'],
    ['bloom', { slow_but_exact: true }, 'slow_but_exact'],
    ['deepseek-v2', { topk_method: 'noaux_tc' }, 'topk_method'],
    ['deepseek-v2', { scoring_func: 'sigmoid' }, 'scoring_func'],
    ['deepseek-v2', { norm_topk_prob: true }, 'norm_topk_prob'],
    ['deepseek-v2', { mlp_bias: true }, 'mlp_bias'],
    ['deepseek-v2', { rope_interleave: false }, 'rope_interleave'],
    ['deepseek-v2', { num_key_value_heads: 2 }, 'num_key_value_heads'],
    ['deepseek-v3', { topk_method: 'greedy' }, 'topk_method'],
    ['deepseek-v3', { scoring_func: 'softmax' }, 'scoring_func'],
    ['deepseek-v3', { moe_layer_freq: 2 }, 'moe_layer_freq'],
    ['deepseek-v3', { n_routed_experts: 256, n_group: 128 }, 'n_group'],
    ['glm4-moe-lite', { first_k_dense_replace: 2, mlp_layer_types: null }, 'first_k_dense_replace'],
    ['glm4-moe-lite', { partial_rotary_factor: 0.5 }, 'partial_rotary_factor'],
    ['gpt-oss', { hidden_act: 'gelu' }, 'hidden_act'],
    ['gpt-oss', { rope_parameters: { full_attention: {} } }, 'full_attention'],
  ])('%s with %j', (variant, fields, field) => {
    expect(read(variant, fields)).toThrow(error('ERR_UNSUPPORTED', field, 'config.json'));
  });
});

describe('fields that contradict', () => {
  test.each<[string, Config, string]>([
    ['llama', { hidden_act: 'mish' }, 'hidden_act'],
    ['opt-pre-norm', { activation_function: 1 }, 'activation_function'],
    ['phi', { tie_word_embeddings: 'yes' }, 'tie_word_embeddings'],
    ['opt-post-norm-projected', {}, 'project_in'],
    ['llama', { rope_parameters: { rope_type: 'linear' } }, 'rope_parameters.factor'],
    [
      'llama',
      { rope_parameters: { rope_type: 'llama3', factor: 8 } },
      'rope_parameters.low_freq_factor',
    ],
    [
      'llama-longrope',
      { rope_parameters: { rope_type: 'longrope', short_factor: [1, 1, 1] } },
      'rope_parameters.short_factor',
    ],
    [
      'llama-longrope',
      { rope_parameters: { rope_type: 'longrope', short_factor: [1, 1, 1, 0] } },
      'rope_parameters.short_factor',
    ],
    [
      'phi',
      { rope_parameters: undefined, rope_scaling: { type: 'longrope' } },
      'rope_scaling.short_factor',
    ],
    [
      'qwen2-yarn',
      { rope_parameters: { rope_type: 'yarn', factor: 'four' } },
      'rope_parameters.factor',
    ],
    [
      'qwen2-yarn',
      { rope_parameters: { rope_type: 'yarn', truncate: 1 } },
      'rope_parameters.truncate',
    ],
    ['llama-longrope', { original_max_position_embeddings: 0.5 }, 'original_max_position'],
    ['llama', { rope_parameters: 'default' }, 'rope_parameters'],
    ['llama', { rope_parameters: { rope_theta: -1 } }, 'rope_parameters.rope_theta'],
    ['llama', { attention_bias: 1 }, 'attention_bias'],
    ['llama', { num_key_value_heads: 3 }, 'num_key_value_heads'],
    ['llama', { head_dim: 7 }, 'even number'],
    ['llama', { head_dim: 1e9 }, '65536 at most'],
    ['llama', { rms_norm_eps: 0 }, 'rms_norm_eps'],
    ['qwen2', { layer_types: ['full_attention'] }, 'layer_types'],
    ['qwen3', { layer_types: ['full_attention', 'linear_attention'] }, 'layer_types'],
    ['qwen2', { layer_types: ['full_attention', 'sliding_attention'] }, 'layer_types'],
    ['gemma2', { sliding_window: null }, 'layer_types'],
    ['mistral-window', { sliding_window: -3 }, 'sliding_window'],
    ['phi3', { sliding_window: 'none' }, 'sliding_window'],
    ['gemma2', { attn_logit_softcapping: 'none' }, 'attn_logit_softcapping'],
    ['gemma3-text', { sliding_window_pattern: 0, layer_types: null }, 'sliding_window_pattern'],
    ['mistral3', { text_config: { model_type: 'pixtral' } }, 'text_config.model_type'],
    ['ministral3', { rope_parameters: null }, 'rope_parameters'],
    [
      'ministral3',
      { rope_parameters: { llama_4_scaling_beta: 'none', original_max_position_embeddings: 8 } },
      'rope_parameters.llama_4_scaling_beta',
    ],
    ['gemma3', { text_config: null }, 'text_config'],
    [
      'gemma4-text',
      { rope_parameters: { full_attention: {} } },
      'rope_parameters.sliding_attention',
    ],
    ['gemma4-text', { enable_moe_block: true }, 'moe_intermediate_size'],
    ['gemma4-text-experts', { top_k_experts: 5 }, 'top_k_experts'],
    ['gemma4-text', { per_layer_config: { 1: { num_key_value_heads: 3 } } }, 'num_key_value_heads'],
    [
      'gemma4-text',
      { per_layer_config: null, num_global_key_value_heads: 3 },
      'num_global_key_value_heads',
    ],
    ['qwen3-vl', { text_config: null }, 'text_config'],
    ['qwen2-vl', { text_config: { vocab_size: 0 } }, 'text_config.hidden_size'],
    ['gemma3', { text_config: { hidden_size: 'wide' } }, 'text_config.hidden_size'],
    ['smollm3', { no_rope_layers: [1] }, 'no_rope_layers'],
    ['smollm3', { no_rope_layers: [1, 2] }, 'no_rope_layers'],
    ['gpt-neox', { rope_parameters: { partial_rotary_factor: 1.5 } }, 'even number'],
    ['deepseek-v2', { qk_rope_head_dim: 5 }, 'qk_rope_head_dim'],
    ['deepseek-v2', { q_lora_rank: 0 }, 'q_lora_rank'],
    ['deepseek-v2', { topk_method: 'group_limited_greedy' }, 'n_group'],
    ['deepseek-v2-groups-biases', { topk_group: 5 }, 'topk_group'],
    ['deepseek-v3', { n_group: 5 }, 'n_group'],
    ['deepseek-v3', { n_group: 12 }, 'n_group'],
    ['deepseek-v3', { topk_group: 1, num_experts_per_tok: 4 }, 'num_experts_per_tok'],
    [
      'deepseek-v3',
      { rope_parameters: { rope_type: 'yarn', mscale_all_dim: 1 } },
      'rope_parameters.factor',
    ],
    ['glm4-moe-lite', { mlp_layer_types: ['dense', 'sparse'] }, 'mlp_layer_types'],
    ['gpt-oss', { num_experts_per_tok: 5 }, 'num_experts_per_tok'],
    ['gpt-oss', { swiglu_limit: 0 }, 'swiglu_limit'],
    ['gpt-oss', { sliding_window: null }, 'layer_types'],
  ])('%s with %j', (variant, fields, part) => {
    expect(read(variant, fields)).toThrow(error('ERR_CHECKPOINT', part));
  });
});
