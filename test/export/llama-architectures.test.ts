// Random models of every architecture in GGUF files, run by llama.cpp itself: its next-token distributions are those of our
// evaluator on the same file, and not those of a model that differs in what the architecture has of its own.

import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { Device } from '../../lib/device/index.js';
import { compare, hasClient, type Llama, openLlama, ours, theirs } from './llama-client.js';
import { exportRandom, randomLlama } from './random-llama.js';

type Changes = Record<string, unknown>;

const yarn = { type: 'yarn', factor: 4, original_max_position_embeddings: 32 };
const experts = { num_experts: 6, num_experts_per_tok: 2, moe_intermediate_size: 32 };
const smallExperts = {
  ...{ n_routed_experts: 6, num_experts_per_tok: 2, moe_intermediate_size: 32 },
  ...{ n_shared_experts: 2, n_group: 1, topk_group: 1 },
};
const oneExpert = { num_experts_per_tok: 1 };
const otherRotary = { rope_theta: 100, rope_scaling: null };
const slidingTwoOfThree = ['sliding_attention', 'full_attention', 'sliding_attention'];
const window = { num_hidden_layers: 3, sliding_window: 24, layer_types: slidingTwoOfThree };
const nested = (text: Changes): Changes => ({
  text_config: text,
  vision_config: { deepstack_visual_indexes: [0, 1] },
});
const base = {
  ...{ hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2, num_attention_heads: 4 },
  ...{ num_key_value_heads: 2, max_position_embeddings: 128, vocab_size: 300 },
  ...{ rms_norm_eps: 1e-5, hidden_act: 'silu' },
};

/** Original positions so many, against the 96 tokens that are run in a context of 512. */
const longrope = (original: number): Changes => ({
  original_max_position_embeddings: original,
  rope_scaling: {
    type: 'longrope',
    short_factor: [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5],
    long_factor: [8, 9, 10, 11, 12, 13, 14, 15],
  },
});

interface Values {
  /** Of all values. */
  readonly deviation?: number;
  /** What is added to weights of norms before attention, without which small models hardly attend. */
  readonly lift?: number;
}

/** What the model is, and how it is changed to be another. */
const cases: [string, Changes, Changes?, Values?][] = [
  ['Mistral', { model_type: 'mistral', sliding_window: null, tie_word_embeddings: false }],
  ['Qwen2, biases of its own', { model_type: 'qwen2', rope_theta: 1e6 }],
  [
    'LLaMA with stretched frequencies',
    {
      rope_theta: 500,
      rope_scaling: {
        rope_type: 'llama3',
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 32,
      },
    },
  ],
  [
    'Qwen2 with frequencies and attention of yarn',
    { model_type: 'qwen2', rope_theta: 500, rope_scaling: yarn },
    { rope_scaling: { ...yarn, attention_factor: 1 } },
  ],
  ['Qwen3', { model_type: 'qwen3', head_dim: 16 }],
  [
    'Qwen3 with yarn',
    {
      ...{ model_type: 'qwen3', head_dim: 32, rope_theta: 500 },
      rope_scaling: { ...yarn, attention_factor: 3 },
    },
    { rope_scaling: { type: 'linear', factor: 1 } },
  ],
  [
    'Qwen3 with positions divided',
    { model_type: 'qwen3', head_dim: 16, rope_scaling: { type: 'linear', factor: 16 } },
    { rope_scaling: null },
    { lift: 0.7 },
  ],
  ['Helium', { model_type: 'helium', head_dim: 16 }],
  [
    'Gemma',
    { model_type: 'gemma', head_dim: 32, hidden_act: 'gelu' },
    otherRotary,
    { deviation: 0.15 },
  ],
  [
    'Gemma 2, whose windows slide',
    { model_type: 'gemma2', head_dim: 16, query_pre_attn_scalar: 16, ...window },
    { sliding_window: 1000 },
  ],
  [
    'Gemma 2, whose scores are capped',
    {
      ...{ model_type: 'gemma2', head_dim: 16, query_pre_attn_scalar: 16, ...window },
      ...{ attn_logit_softcapping: 0.5, final_logit_softcapping: 3 },
    },
    { attn_logit_softcapping: 50 },
  ],
  [
    'Gemma 2, whose logits are capped',
    {
      ...{ model_type: 'gemma2', head_dim: 16, query_pre_attn_scalar: 16, ...window },
      ...{ attn_logit_softcapping: 50, final_logit_softcapping: 3 },
    },
    { final_logit_softcapping: 30 },
  ],
  [
    'Gemma 3, whose windows slide',
    { model_type: 'gemma3_text', head_dim: 16, query_pre_attn_scalar: 16, ...window },
    { sliding_window: 1000 },
  ],
  [
    'Gemma 3, whose blocks turn by two bases',
    {
      ...{ model_type: 'gemma3_text', head_dim: 16, query_pre_attn_scalar: 16, ...window },
      ...{ rope_theta: 1e5, rope_local_base_freq: 50 },
      rope_scaling: { rope_type: 'linear', factor: 8 },
    },
    { rope_local_base_freq: 1e4 },
  ],
  [
    'Gemma 3, whose positions are divided where it sees all',
    {
      ...{ model_type: 'gemma3_text', head_dim: 16, query_pre_attn_scalar: 16, ...window },
      ...{ rope_theta: 100, rope_local_base_freq: 50 },
      rope_scaling: { rope_type: 'linear', factor: 8 },
    },
    { rope_scaling: null },
  ],
  [
    'Gemma 3 beside an image encoder',
    {
      model_type: 'gemma3',
      tie_word_embeddings: true,
      ...nested({
        ...{ ...base, model_type: 'gemma3_text', head_dim: 16, query_pre_attn_scalar: 16 },
        ...window,
      }),
    },
    {
      ...nested({
        ...{ ...base, model_type: 'gemma3_text', head_dim: 16, query_pre_attn_scalar: 16 },
        ...{ ...window, sliding_window: 1000 },
      }),
    },
  ],
  ['Phi-3', { model_type: 'phi3' }],
  ['Phi-3 that turns half of each head', { model_type: 'phi3', partial_rotary_factor: 0.5 }],
  ['Phi-3 with long factors', { model_type: 'phi3', ...longrope(64) }, otherRotary],
  [
    'Phi-3 with short factors',
    { model_type: 'phi3', ...longrope(512), max_position_embeddings: 1024 },
    { ...longrope(64), max_position_embeddings: 1024 },
  ],
  ['GLM', { model_type: 'glm', head_dim: 16, attention_bias: true }],
  [
    'GLM-4',
    { model_type: 'glm4', head_dim: 32, attention_bias: true },
    { partial_rotary_factor: 1 },
  ],
  [
    'Granite',
    {
      model_type: 'granite',
      ...{ attention_multiplier: 0.4, embedding_multiplier: 3 },
      ...{ residual_multiplier: 0.3, logits_scaling: 2 },
    },
    { residual_multiplier: 1 },
  ],
  [
    'Granite by its scale of scores',
    { model_type: 'granite', attention_multiplier: 0.6 },
    { attention_multiplier: 0.25 },
  ],
  [
    'SmolLM3',
    { model_type: 'smollm3', num_hidden_layers: 4, rope_theta: 50 },
    { no_rope_layers: [1, 1, 1, 1] },
    { lift: 0.7 },
  ],
  ['OLMo 2', { model_type: 'olmo2', tie_word_embeddings: false }],
  [
    'OLMo 3, whose windows slide',
    { model_type: 'olmo3', tie_word_embeddings: false, ...window },
    { sliding_window: 1000 },
  ],
  [
    'OLMo 3 with yarn where it sees all',
    {
      ...{ model_type: 'olmo3', tie_word_embeddings: false, ...window },
      rope_scaling: { ...yarn, type: undefined, rope_type: 'yarn', attention_factor: 2 },
    },
    { rope_scaling: null },
  ],
  ['Command R', { model_type: 'cohere', logit_scale: 0.3 }, { logit_scale: 0.0625 }],
  [
    'Command R7B',
    { model_type: 'cohere2', logit_scale: 0.3, head_dim: 16, ...window },
    { sliding_window: 1000 },
  ],
  [
    'Mistral Small 3.1',
    {
      model_type: 'mistral3',
      ...nested({ ...base, model_type: 'mistral', head_dim: 16, sliding_window: null }),
    },
    nested({
      ...{ ...base, model_type: 'mistral', head_dim: 16, sliding_window: null, rope_theta: 100 },
    }),
  ],
  [
    'Ministral 3, whose queries grow',
    {
      ...{ model_type: 'ministral3', head_dim: 16, sliding_window: null },
      rope_parameters: { ...yarn, rope_type: 'yarn', rope_theta: 500, llama_4_scaling_beta: 0.5 },
    },
    { rope_parameters: { ...yarn, rope_type: 'yarn', rope_theta: 500, llama_4_scaling_beta: 0 } },
  ],
  ['Qwen2-VL', { model_type: 'qwen2_vl', rope_theta: 1e4 }],
  [
    'Qwen3-VL',
    { model_type: 'qwen3_vl', tie_word_embeddings: true, ...nested({ ...base, head_dim: 16 }) },
    nested({ ...base, head_dim: 16, rope_theta: 100 }),
  ],
  ['Seed-OSS', { model_type: 'seed_oss', head_dim: 16, attention_bias: true }],
  ['EXAONE 4 without windows', { model_type: 'exaone4', sliding_window: null }],
  [
    'EXAONE 4 of 64 blocks, whose windows slide',
    {
      ...{ model_type: 'exaone4', num_hidden_layers: 64, sliding_window: 24 },
      ...{ hidden_size: 32, intermediate_size: 32, num_attention_heads: 2, num_key_value_heads: 1 },
    },
    { sliding_window: 1000 },
  ],
  ['ERNIE 4.5', { model_type: 'ernie4_5', head_dim: 16 }],
  [
    'StableLM',
    { model_type: 'stablelm', use_qkv_bias: true, tie_word_embeddings: false },
    { partial_rotary_factor: 1 },
  ],
  [
    'StableLM in parallel',
    { model_type: 'stablelm', use_parallel_residual: true, tie_word_embeddings: false },
    { partial_rotary_factor: 1 },
  ],
  [
    'GLM-4.5, experts after a dense block',
    {
      ...{ model_type: 'glm4_moe', ...smallExperts, head_dim: 16, use_qk_norm: true },
      ...{ first_k_dense_replace: 1, attention_bias: true, routed_scaling_factor: 1.5 },
    },
    { routed_scaling_factor: 1 },
  ],
  [
    'GLM-4.5 with groups of experts',
    {
      ...{ model_type: 'glm4_moe', ...smallExperts, head_dim: 16, n_group: 3, topk_group: 1 },
      ...{ first_k_dense_replace: 0, norm_topk_prob: false },
    },
    { n_group: 1 },
  ],
  ['Solar Open', { model_type: 'solar_open', ...smallExperts, head_dim: 16 }, oneExpert],
  [
    'dots.llm1',
    {
      ...{ model_type: 'dots1', ...smallExperts, head_dim: 16, num_key_value_heads: 4 },
      ...{ first_k_dense_replace: 1, tie_word_embeddings: false, sliding_window: null },
    },
    oneExpert,
  ],
  [
    'ERNIE 4.5 with experts',
    {
      ...{ model_type: 'ernie4_5_moe', ...experts, moe_num_experts: 6, moe_k: 2 },
      ...{ moe_layer_start_index: 1, moe_num_shared_experts: 2 },
    },
    { moe_k: 1 },
  ],
  [
    'MiniMax-M2',
    { model_type: 'minimax_m2', ...experts, head_dim: 16, rotary_dim: 8, rope_theta: 1e4 },
    oneExpert,
  ],
  [
    'StarCoder 2',
    {
      ...{ model_type: 'starcoder2', sliding_window: null, tie_word_embeddings: true },
      hidden_act: 'gelu_pytorch_tanh',
    },
  ],
  [
    'StarCoder 2 without biases of its own',
    { model_type: 'starcoder2', use_bias: false, hidden_act: 'gelu_pytorch_tanh' },
  ],
  [
    'Phi-2',
    { model_type: 'phi', tie_word_embeddings: false, hidden_act: 'gelu_new' },
    { partial_rotary_factor: 1 },
  ],
  [
    'GPT-2',
    { model_type: 'gpt2', n_embd: 64, n_head: 4, n_layer: 2, n_positions: 128 },
    { scale_attn_weights: false },
  ],
  [
    'GPT-BigCode',
    { model_type: 'gpt_bigcode', n_embd: 64, n_head: 4, n_layer: 2, n_positions: 128 },
    { scale_attn_weights: false },
  ],
  [
    'GPT-BigCode, each head with a key of its own',
    {
      ...{ model_type: 'gpt_bigcode', n_embd: 64, n_head: 4, n_layer: 2, n_positions: 128 },
      multi_query: false,
    },
    { scale_attn_weights: false },
  ],
  [
    'GPT-NeoX in parallel',
    { model_type: 'gpt_neox', hidden_act: 'gelu_fast', tie_word_embeddings: false },
    { rotary_pct: 1 },
  ],
  [
    'GPT-NeoX one after the other',
    {
      ...{ model_type: 'gpt_neox', hidden_act: 'gelu_fast', tie_word_embeddings: false },
      use_parallel_residual: false,
    },
    { use_parallel_residual: true },
  ],
  [
    'BLOOM',
    { model_type: 'bloom', n_head: 4, n_layer: 2 },
    { apply_residual_connection_post_layernorm: true },
  ],
  [
    'Mixtral',
    { model_type: 'mixtral', ...experts, num_local_experts: 6, rope_theta: 1e4 },
    oneExpert,
  ],
  ['OLMoE', { model_type: 'olmoe', ...experts, num_key_value_heads: 4 }, oneExpert],
  [
    'Qwen3-MoE',
    { model_type: 'qwen3_moe', ...experts, head_dim: 16, norm_topk_prob: true },
    oneExpert,
  ],
  [
    'Qwen2-MoE',
    { model_type: 'qwen2_moe', ...experts, qkv_bias: true, shared_expert_intermediate_size: 64 },
    oneExpert,
  ],
];

describe.skipIf(!hasClient)('llama.cpp', () => {
  let llama: Llama;
  beforeAll(async () => {
    llama = await openLlama();
  });

  it.each(cases)(
    'runs a random %s as we do',
    async (_, changes, otherwise = otherRotary, values = {}) => {
      const device = Device.open('cpu');
      const { deviation = 0.3, lift = 0 } = values;
      const source = await randomLlama(changes, 'float32', deviation, (name, tensor) => {
        if (/input_layernorm|[qk]_norm/.test(name)) tensor.set(tensor.map((value) => value + lift));
      });
      const { directory } = await exportRandom(device, source, 'gguf');
      device.close();
      const drawn = Int32Array.from({ length: 96 }, (_, i) => (i * 37) % 256);
      const other = await theirs(llama, join(directory, 'model.gguf'), drawn);
      const { divergence } = compare(await ours(directory, drawn), other, drawn);
      // It rounds what products read to 8 bits, by which a token may come to another expert.
      const hasExperts = /experts|moe_k/.test(Object.keys(changes).join());
      expect(divergence).toBeLessThan(hasExperts ? 5e-3 : 1e-3);
      const turnedOtherwise = await ours(directory, drawn, otherwise);
      const changed = compare(turnedOtherwise, other, drawn).divergence;
      if (process.env.SHOW) console.log(_, divergence, changed);
      expect(changed).toBeGreaterThan(20 * divergence);
    },
  );
});
