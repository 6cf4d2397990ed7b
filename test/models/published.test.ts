// Configurations as their authors published them, read whole: as many parameters as the checkpoints hold, windows and
// rotary positions where they have them. Fields that nothing reads are left out.

import { expect, test } from 'vitest';
import { readModel, shapeOf } from '../../lib/models/index.js';
import { mixtures, sizes } from './published-mixtures.js';
import type { Config } from './tiny.js';

const gemma3 = {
  model_type: 'gemma3_text',
  head_dim: 256,
  max_position_embeddings: 32768,
  rope_local_base_freq: 10000,
  rope_theta: 1e6,
  rope_scaling: null,
  sliding_window: 512,
  attn_logit_softcapping: null,
  final_logit_softcapping: null,
};
/** What is not said is so in the class. */
const gemma4 = {
  model_type: 'gemma4_text',
  head_dim: 256,
  global_head_dim: 512,
  attention_k_eq_v: true,
  max_position_embeddings: 262144,
  hidden_size_per_layer_input: 0,
  sliding_window: 1024,
  final_logit_softcapping: 30,
  use_bidirectional_attention: 'vision',
};
const phi3 = { model_type: 'phi3', rms_norm_eps: 1e-5, attention_bias: false };
const factors = Array.from({ length: 48 }, (_, i) => 1 + i);

const sum = (counts: readonly number[]) => counts.reduce((a, b) => a + b, 0);

const published: [string, number, Config][] = [
  [
    'Phi-3-mini-4k',
    3_821_079_552,
    {
      ...phi3,
      ...sizes(3072, 8192, 32, 32, 32, 32064),
      max_position_embeddings: 4096,
      original_max_position_embeddings: 4096,
      rope_scaling: null,
      sliding_window: 2047,
    },
  ],
  [
    'Phi-4-mini',
    3_836_021_760,
    {
      ...phi3,
      ...sizes(3072, 8192, 32, 24, 8, 200064),
      max_position_embeddings: 131072,
      original_max_position_embeddings: 4096,
      partial_rotary_factor: 0.75,
      rope_scaling: { type: 'longrope', short_factor: factors, long_factor: factors },
      sliding_window: 262144,
      tie_word_embeddings: true,
      lm_head_bias: false,
      mlp_bias: false,
    },
  ],
  [
    'Phi-4',
    14_659_507_200,
    { ...phi3, ...sizes(5120, 17920, 40, 40, 10, 100352), max_position_embeddings: 16384 },
  ],
  ['Gemma 3 270M', 268_098_176, { ...gemma3, ...sizes(640, 2048, 18, 4, 1, 262144) }],
  ['Gemma 3 1B', 999_885_952, { ...gemma3, ...sizes(1152, 6912, 26, 4, 1, 262144) }],
  [
    'Gemma 4 31B, without what encodes images',
    30_697_345_340,
    { ...gemma4, ...sizes(5376, 21504, 60, 32, 16, 262144), num_global_key_value_heads: 4 },
  ],
  [
    'Gemma 4 26B-A4B, without what encodes images',
    25_233_141_790,
    {
      ...gemma4,
      ...sizes(2816, 2112, 30, 16, 8, 262144),
      num_global_key_value_heads: 2,
      enable_moe_block: true,
      num_experts: 128,
      top_k_experts: 8,
      moe_intermediate_size: 704,
    },
  ],
  [
    'Gemma 2B',
    2_506_172_416,
    {
      model_type: 'gemma',
      head_dim: 256,
      hidden_act: 'gelu',
      hidden_activation: null,
      ...sizes(2048, 16384, 18, 8, 1, 256000),
      max_position_embeddings: 8192,
    },
  ],
  [
    'OLMo 2 7B',
    7_298_617_344,
    {
      model_type: 'olmo2',
      ...sizes(4096, 11008, 32, 32, 32, 100352),
      max_position_embeddings: 4096,
    },
  ],
  [
    'SmolLM3 3B',
    3_075_098_624,
    {
      model_type: 'smollm3',
      ...sizes(2048, 11008, 36, 16, 4, 128256),
      max_position_embeddings: 65536,
      sliding_window: null,
      use_sliding_window: false,
    },
  ],
  [
    'GLM-4 9B 0414',
    9_400_279_040,
    {
      model_type: 'glm4',
      ...sizes(4096, 13696, 40, 32, 2, 151552),
      max_position_embeddings: 32768,
      head_dim: 128,
      partial_rotary_factor: 0.5,
      attention_bias: true,
    },
  ],
  [
    'Qwen2.5-VL 7B, without what encodes images',
    7_615_616_512,
    {
      model_type: 'qwen2_5_vl',
      ...sizes(3584, 18944, 28, 28, 4, 152064),
      max_position_embeddings: 128000,
      rope_theta: 1e6,
      rope_scaling: { type: 'mrope', mrope_section: [16, 24, 24] },
      sliding_window: 32768,
      use_sliding_window: false,
      max_window_layers: 28,
      vision_config: { depth: 32 },
    },
  ],
  [
    'Qwen3-VL-30B-A3B, without what encodes images',
    30_532_122_624,
    {
      model_type: 'qwen3_vl_moe',
      text_config: {
        ...sizes(2048, 6144, 48, 32, 4, 151936),
        head_dim: 128,
        max_position_embeddings: 262144,
        rope_theta: 5e6,
        rope_scaling: {
          rope_type: 'default',
          mrope_section: [24, 20, 20],
          mrope_interleaved: true,
        },
        moe_intermediate_size: 768,
        mlp_only_layers: [],
        decoder_sparse_step: 1,
        num_experts: 128,
        num_experts_per_tok: 8,
        norm_topk_prob: true,
      },
    },
  ],
  [
    'StableLM 2 1.6B',
    1_644_515_328,
    {
      model_type: 'stablelm',
      ...sizes(2048, 5632, 24, 32, 32, 100352),
      max_position_embeddings: 4096,
      use_qkv_bias: true,
      partial_rotary_factor: 0.25,
    },
  ],
  [
    'Command R7B',
    8_028_033_024,
    {
      model_type: 'cohere2',
      ...sizes(4096, 14336, 32, 32, 8, 256000),
      max_position_embeddings: 132096,
      sliding_window: 4096,
      sliding_window_pattern: 4,
      logit_scale: 0.25,
    },
  ],
  [
    'EXAONE 4.0 1.2B',
    1_279_391_488,
    {
      model_type: 'exaone4',
      ...sizes(2048, 4096, 30, 32, 8, 102400),
      head_dim: 64,
      max_position_embeddings: 65536,
      tie_word_embeddings: true,
      sliding_window: null,
    },
  ],
  [
    'StarCoder',
    15_517_456_384,
    {
      model_type: 'gpt_bigcode',
      n_embd: 6144,
      n_inner: 24576,
      n_layer: 40,
      n_head: 48,
      n_positions: 8192,
      vocab_size: 49152,
    },
  ],
  [
    'StarCoder 2 3B',
    3_030_371_328,
    {
      model_type: 'starcoder2',
      ...sizes(3072, 12288, 30, 24, 2, 49152),
      max_position_embeddings: 16384,
      sliding_window: 4096,
      use_bias: true,
    },
  ],
  [
    'Qwen2.5 7B, stretched',
    7_615_616_512,
    {
      model_type: 'qwen2',
      ...sizes(3584, 18944, 28, 28, 4, 152064),
      max_position_embeddings: 32768,
      rope_theta: 1e6,
      rope_scaling: { type: 'yarn', factor: 4, original_max_position_embeddings: 32768 },
      sliding_window: 131072,
      use_sliding_window: false,
    },
  ],
];

test.each([...published, ...mixtures])('%s has %i parameters', (_, parameters, config) => {
  const model = readModel(config, new Set());
  const whole = ['minimax_m2', 'olmo2', 'olmoe'].includes(String(config.model_type));
  const normSize = (name: string, index: number) => {
    if (!name.startsWith('self_attn.')) return model.hiddenSize;
    const { shape, attentionShapes } = model.decoder ?? {};
    const { heads = 0, keyValueHeads = 0, headSize = 0 } = attentionShapes?.[index] ?? shape ?? {};
    if (!whole) return headSize;
    return headSize * (name.includes('q_norm') ? heads : keyValueHeads);
  };
  const inBlock = (index: number) => {
    const { linears, blockTensors, tensorShapes } = shapeOf(model, index);
    const counts = linears.map(
      ({ inChannels, outChannels, bias }) => outChannels * (inChannels + (bias ? 1 : 0)),
    );
    const others = blockTensors.map(
      (name) => tensorShapes?.[name]?.reduce((a, b) => a * b) ?? normSize(name, index),
    );
    return sum([...counts, ...others]);
  };
  const outer = Object.values(model.outerShapes).map((shape) => shape.reduce((a, b) => a * b));
  const blocks = Array.from({ length: model.blocks }, (_, index) => inBlock(index));
  expect(sum(blocks) + sum(outer)).toBe(parameters);
});

test('gpt-oss, whose class stretches its frequencies where its configuration says nothing of them', () => {
  const [, , published = {}] = mixtures.find(([name]) => name === 'gpt-oss-20b') ?? [];
  const { rope_theta: _base, rope_scaling: _scaling, ...config } = published;
  const [plain, said] = [config, published].map((each) => readModel(each, new Set()));
  const rotary = plain?.decoder?.rotary;
  expect(rotary?.attentionFactor).toBe(0.1 * Math.log(32) + 1);
  expect(rotary?.frequencies(1)).toEqual(said?.decoder?.rotary.frequencies(1));
  // As transformers 5.23 has them.
  for (const [pair, expected] of [
    [0, 1],
    [5, 0.15532298386096954],
    [10, 0.019334999844431877],
    [15, 0.00105260219424963],
    [20, 1.818833698052913e-5],
    [31, 3.023511396804679e-7],
  ] as const) {
    const frequency = rotary?.frequencies(1)[pair] ?? Number.NaN;
    expect(Math.abs(frequency / expected - 1)).toBeLessThan(2 ** -23);
  }
  expect(plain?.decoder?.windows.slice(0, 3)).toEqual([128, 0, 128]);
});

test('Gemma 3 4B, whose configuration leaves out what is so in its class', () => {
  const text_config = {
    model_type: 'gemma3_text',
    hidden_size: 2560,
    intermediate_size: 10240,
    num_hidden_layers: 34,
    rope_scaling: { factor: 8, rope_type: 'linear' },
    sliding_window: 1024,
  };
  const model = readModel({ model_type: 'gemma3', text_config }, new Set());
  expect(model).toMatchObject({ vocabularySize: 262208, maxPositions: 131072 });
  expect(model.linears[0]).toMatchObject({ inChannels: 2560, outChannels: 8 * 256 });
  expect(model.linears[1]).toMatchObject({ outChannels: 4 * 256 });
});
