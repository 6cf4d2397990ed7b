// Every architecture against transformers, on tiny random checkpoints in float32.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { Device } from '../../lib/device/index.js';
import { architectures } from '../../lib/models/index.js';
import {
  type Config,
  configOf,
  directoryOf,
  goldenOf,
  largestDifference,
  logitsOf,
  openModel,
  variants,
} from './tiny.js';

const tolerance = 1e-4;

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

/** The largest difference from transformers, with another config.json where one is passed. */
async function differenceOf(variant: string, config?: Config): Promise<number> {
  const checkpoint = await Checkpoint.open(directoryOf(variant));
  const model = openModel(checkpoint, config);
  const { ids, sequence, logits } = await goldenOf(variant);
  return largestDifference(await logitsOf(device, checkpoint, model, ids, sequence), logits);
}

test('every architecture has a tiny checkpoint', () => {
  const types = new Set(variants.map((variant) => configOf(variant).model_type));
  expect([...types].sort()).toEqual(architectures.map(({ modelType }) => modelType).sort());
});

describe('logits equal those of transformers', () => {
  test.each(variants)('%s', async (variant) => {
    expect(await differenceOf(variant)).toBeLessThan(tolerance);
  });
});

describe('fields that older configurations wrote otherwise', () => {
  const withoutRope = (variant: string): Config => {
    const { rope_parameters: _, ...rest } = configOf(variant);
    return rest;
  };
  const scaled = configOf('llama-biases-llama3').rope_parameters as Config;
  const stretched = configOf('gpt-oss').rope_parameters as Config;

  test.each<[string, string, Config]>([
    ['rope_theta', 'llama', { rope_theta: 10000 }],
    ['no rope field at all', 'llama', {}],
    [
      'rope_scaling',
      'llama-biases-llama3',
      { rope_theta: 500, rope_scaling: { ...scaled, rope_theta: undefined } },
    ],
    [
      'its type',
      'llama-tied-linear',
      { rope_theta: 10000, rope_scaling: { type: 'linear', factor: 4 } },
    ],
    [
      'rope_scaling of a class whose frequencies are stretched',
      'gpt-oss',
      { rope_theta: 500, rope_scaling: { ...stretched, rope_theta: undefined } },
    ],
    ['rotary_pct', 'gpt-neox-sequential', { rotary_pct: 0.5, rotary_emb_base: 10000 }],
    ['partial_rotary_factor', 'phi', { partial_rotary_factor: 0.5, rope_theta: 10000 }],
  ])('%s (%s)', async (_, variant, fields) => {
    expect(await differenceOf(variant, { ...withoutRope(variant), ...fields })).toBeLessThan(
      tolerance,
    );
  });

  test('phi3: partial_rotary_factor beside rope_scaling, whose type is su or longrope', async () => {
    const { rope_parameters, ...rest } = configOf('phi3-longrope-tied');
    const {
      rope_type: _,
      rope_theta,
      partial_rotary_factor,
      ...factors
    } = rope_parameters as Config;
    for (const type of ['su', 'longrope']) {
      const rope_scaling = { ...factors, type };
      const config = { ...rest, rope_theta, partial_rotary_factor, rope_scaling };
      expect(await differenceOf('phi3-longrope-tied', config), type).toBeLessThan(tolerance);
    }
  });

  test('gemma3: a base for each kind of block, rope_scaling of those that see all tokens', async () => {
    const { layer_types, rope_parameters, ...rest } = configOf('gemma3-text');
    const config = { ...rest, sliding_window_pattern: 2, rope_theta: 1e6 };
    expect(await differenceOf('gemma3-text', config)).toBeLessThan(tolerance);
    const { rope_parameters: _, ...scaled } = configOf('gemma3-text-biases-linear');
    const fields = {
      rope_theta: 500,
      rope_local_base_freq: 100,
      rope_scaling: { factor: 8, rope_type: 'linear' },
    };
    expect(await differenceOf('gemma3-text-biases-linear', { ...scaled, ...fields })).toBeLessThan(
      tolerance,
    );
  });

  test('gemma4: heads of blocks that see all tokens by fields of their own, as published', async () => {
    const { per_layer_config, rope_parameters, ...rest } = configOf('gemma4-text');
    const config = { ...rest, global_head_dim: 16, num_global_key_value_heads: 1 };
    expect(await differenceOf('gemma4-text', config)).toBeLessThan(tolerance);
    // Whatever the list says, the class lets the last block see all tokens.
    const layer_types = ['sliding_attention', 'full_attention', 'sliding_attention'];
    expect(await differenceOf('gemma4-text', { ...config, layer_types })).toBeLessThan(tolerance);
  });

  test('olmo3: rope_scaling is of blocks that see all tokens', async () => {
    const { rope_parameters, ...config } = configOf('olmo3');
    const { full_attention } = rope_parameters as Config;
    const fields = { rope_scaling: { ...(full_attention as Config) } };
    expect(await differenceOf('olmo3', { ...config, ...fields })).toBeLessThan(tolerance);
    // Every fourth block sees all tokens, neither of the first two.
    const slides = { ...config, ...fields, layer_types: null };
    expect(await differenceOf('olmo3', slides)).toBeGreaterThan(10 * tolerance);
  });

  test('gemma3: names as version 4 of transformers wrote them, fields that are as in the class', async () => {
    const { text_config, ...config } = configOf('gemma3');
    const { max_position_embeddings, ...text } = text_config as Config;
    const { ids, sequence, logits } = await goldenOf('gemma3');
    const source = await Checkpoint.open(directoryOf('gemma3'));
    const renamed = [...source.tensors.values()].map((info) => {
      const name = info.name.replace(/^language_model\.model\./, 'model.language_model.');
      return [name, { ...info, name }] as const;
    });
    const checkpoint = Object.assign(Object.create(Checkpoint.prototype), {
      directory: source.directory,
      config: { ...config, text_config: text },
      tensors: new Map(renamed),
    }) as Checkpoint;
    const model = openModel(checkpoint);
    expect(model.blockName(1)).toBe('model.language_model.layers.1');
    expect(model.maxPositions).toBe(131072);
    const received = await logitsOf(device, checkpoint, model, ids, sequence);
    expect(largestDifference(received, logits)).toBeLessThan(tolerance);
  });

  test('smollm3: every so many blocks one does not turn', async () => {
    const config = { ...configOf('smollm3'), no_rope_layers: null, layer_types: null };
    expect(await differenceOf('smollm3', config)).toBeLessThan(tolerance);
  });

  test('smollm3, mistral: layer_types say which blocks slide, whatever else does', async () => {
    const earlier = { ...configOf('ministral'), model_type: 'mistral' };
    expect(await differenceOf('ministral', earlier)).toBeLessThan(tolerance);
    const unused = { ...configOf('smollm3-biases-window'), use_sliding_window: false };
    expect(await differenceOf('smollm3-biases-window', unused)).toBeLessThan(tolerance);
  });

  test('ministral3: the original context beside rope_parameters', async () => {
    const { rope_parameters, ...config } = configOf('ministral3');
    const { original_max_position_embeddings, ...rest } = rope_parameters as Config;
    const outside = { ...config, original_max_position_embeddings, rope_parameters: rest };
    expect(await differenceOf('ministral3', outside)).toBeLessThan(tolerance);
  });

  test('mistral3: embeddings are tied where no field says so and there is no head', async () => {
    const { tie_word_embeddings: _, text_config, ...rest } = configOf('mistral3-ministral3-tied');
    const text = { ...(text_config as Config), tie_word_embeddings: false };
    const config = { ...rest, text_config: text };
    expect(await differenceOf('mistral3-ministral3-tied', config)).toBeLessThan(tolerance);
  });

  test('qwen2-5-vl: fields of the language model beside the others, as published', async () => {
    const { text_config, ...rest } = configOf('qwen2-5-vl-window');
    const { rope_parameters, layer_types: _, model_type: __, ...text } = text_config as Config;
    const { rope_theta, mrope_section } = rope_parameters as Config;
    const rope_scaling = { type: 'mrope', mrope_section };
    const config = { ...text, ...rest, rope_theta, rope_scaling, use_sliding_window: true };
    expect(await differenceOf('qwen2-5-vl-window', config)).toBeLessThan(tolerance);
  });

  test.each([
    ['deepseek-v2', {}],
    ['deepseek-v3', { head_dim: undefined, num_key_value_heads: undefined }],
  ])('%s: positions as published, by type in rope_scaling', async (variant, fields) => {
    const { rope_parameters, ...rest } = configOf(variant);
    const { rope_type: type, rope_theta, ...factors } = rope_parameters as Config;
    const config = { ...rest, ...fields, rope_theta, rope_scaling: { type, ...factors } };
    expect(await differenceOf(variant, config)).toBeLessThan(tolerance);
  });

  test('glm4-moe-lite: the first block is dense where no list says which are', async () => {
    const { mlp_layer_types: _, ...config } = configOf('glm4-moe-lite-groups');
    const fields = { ...config, first_k_dense_replace: 1 };
    expect(await differenceOf('glm4-moe-lite-groups', fields)).toBeLessThan(tolerance);
  });

  test('gemma: gelu is its approximation', async () => {
    const config = { ...configOf('gemma'), hidden_act: 'gelu', hidden_activation: null };
    expect(await differenceOf('gemma', config)).toBeLessThan(tolerance);
  });

  test('dynamic scaling changes nothing within the supported positions', async () => {
    const rope_scaling = { type: 'dynamic', factor: 2 };
    const config = { ...withoutRope('llama'), rope_theta: 10000, rope_scaling };
    expect(await differenceOf('llama', config)).toBeLessThan(tolerance);
  });

  test('layer_types are implied by older fields', async () => {
    for (const variant of ['qwen2-window', 'gemma2']) {
      const { layer_types: _, ...config } = configOf(variant);
      expect(await differenceOf(variant, config), variant).toBeLessThan(tolerance);
    }
  });
});

describe('what the checkpoints can tell apart', () => {
  const yarn = configOf('qwen2-yarn').rope_parameters as Config;
  const latentYarn = {
    ...(configOf('deepseek-v2').rope_parameters as Config),
    mscale: 1.5,
    mscale_all_dim: 1.5,
  };
  const inner = configOf('qwen2-5-vl-window').text_config as Config;

  test.each<[string, string, Config]>([
    ['the sliding window', 'mistral-window', { sliding_window: null }],
    [
      'which blocks slide',
      'qwen2-window',
      { layer_types: ['sliding_attention', 'full_attention'] },
    ],
    ['the scaling of frequencies', 'llama-tied-linear', { rope_parameters: { rope_theta: 10000 } }],
    ['the factors of long sequences', 'llama-longrope', { original_max_position_embeddings: 24 }],
    ['the sharpness of yarn', 'qwen2-yarn', { rope_parameters: { ...yarn, attention_factor: 1 } }],
    ['the share of heads that turns', 'phi3', { rope_parameters: { partial_rotary_factor: 0.75 } }],
    ['the sliding window', 'phi3', { sliding_window: null }],
    [
      'frequencies of blocks that slide',
      'gemma3-text',
      { rope_parameters: { sliding_attention: { rope_theta: 1e6 } } },
    ],
    ['the cap of logits', 'gemma3-text-biases-linear', { final_logit_softcapping: null }],
    ['the factor of embeddings', 'granite', { embedding_multiplier: 1 }],
    ['the factor of scores', 'granite', { attention_multiplier: 1 }],
    ['the factor of residual additions', 'granite', { residual_multiplier: 1 }],
    ['the factor of logits', 'granite', { logits_scaling: 1 }],
    ['blocks that do not turn', 'smollm3', { no_rope_layers: [1, 1] }],
    [
      'the sliding window',
      'smollm3-biases-window',
      { use_sliding_window: false, layer_types: null },
    ],
    ['the sliding window', 'starcoder2-window', { sliding_window: null }],
    [
      'the sliding window',
      'qwen2-5-vl-window',
      { text_config: { ...inner, layer_types: null, max_window_layers: 2 } },
    ],
    ['which blocks slide and turn', 'cohere2-biases', { layer_types: null }],
    ['blocks that slide and turn', 'exaone4-window', { sliding_window: null, layer_types: null }],
    ['the factor of logits', 'cohere', { logit_scale: 1 }],
    ['the share of heads that turns', 'glm', { rope_parameters: { partial_rotary_factor: 1 } }],
    ['the scale of scores', 'gpt-bigcode-heads', { scale_attn_weights: true }],
    ['which blocks slide', 'ministral', { layer_types: ['sliding_attention', 'full_attention'] }],
    [
      'queries that grow',
      'ministral3',
      {
        rope_parameters: {
          ...(configOf('ministral3').rope_parameters as Config),
          llama_4_scaling_beta: 0,
        },
      },
    ],
    ['the cap of scores', 'gemma2', { attn_logit_softcapping: null }],
    ['the cap of logits', 'gemma2', { final_logit_softcapping: null }],
    ['the scale of scores', 'gemma2', { query_pre_attn_scalar: 12 }],
    [
      'the residual after the norm',
      'bloom-post-norm-6-heads',
      { apply_residual_connection_post_layernorm: false },
    ],
    ['the scale by depth', 'gpt2-scaled', { scale_attn_by_inverse_layer_idx: false }],
    ['the parallel residual', 'gpt-neox', { use_parallel_residual: false }],
    ['the epsilon of norms', 'qwen3', { rms_norm_eps: 1e-2 }],
    ['the sharpness of all channels', 'deepseek-v2', { rope_parameters: latentYarn }],
    ['groups', 'deepseek-v2-groups-biases', { topk_method: 'greedy' }],
    ['groups', 'deepseek-v3', { topk_group: 4 }],
    ['which channels turn together', 'deepseek-v3', { rope_interleave: false }],
    ['weights over their sum', 'deepseek-v3', { norm_topk_prob: false }],
    ['the factor of experts', 'deepseek-v2', { routed_scaling_factor: 1 }],
    ['which channels turn together', 'glm4-moe-lite-groups', { rope_interleave: true }],
    ['the limit of gates', 'gpt-oss', { swiglu_limit: 7 }],
    ['the slope of gates', 'gpt-oss-no-biases-windows', { swiglu_alpha: 1.702 }],
    ['the window', 'gpt-oss', { sliding_window: 7 }],
  ])('%s (%s)', async (_, variant, fields) => {
    const difference = await differenceOf(variant, { ...configOf(variant), ...fields });
    expect(difference).toBeGreaterThan(10 * tolerance);
  });
});
