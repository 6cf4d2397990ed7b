// GGUF files: the header as @huggingface/gguf reads it, and the blocks by a dequantizer of the tests' own, by the
// formulas of the ggml block types.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type GGUFParseOutput, gguf } from '@huggingface/gguf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTensor } from '../../lib/checkpoint/load-tensor.js';
import { Device } from '../../lib/device/index.js';
import type { Grid } from '../../lib/export/format.js';
import { GgufFile } from '../../lib/export/gguf/file-reader.js';
import { openModelFiles } from '../../lib/export/index.js';
import { readModel } from '../../lib/models/index.js';
import { expectClose } from '../native/harness.js';
import { ggmlValues } from './ggml-super-blocks.js';
import { float16Value } from './half-precision.js';
import { baseGrid, exportRandom, randomLlama, superGrid, superSizes } from './random-llama.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

const parse = (directory: string) =>
  gguf(join(directory, 'model.gguf'), { allowLocalFile: true }) as Promise<
    GGUFParseOutput & { metadata: Record<string, unknown> }
  >;

/** Bytes of a super-block. */
const superBytes: Readonly<Record<string, number>> = {
  ...{ Q2_K: 84, Q3_K: 110, Q4_K: 144, Q5_K: 176, Q6_K: 210 },
};

/** Values of a tensor of blocks of 32 or 256 values, in the order of the file. */
function dequantize(bytes: Buffer, count: number, type: string): ArrayLike<number> {
  const ofSuperBlock = superBytes[type];
  if (ofSuperBlock !== undefined) {
    const own = bytes.subarray(0, (count / 256) * ofSuperBlock);
    return ggmlValues(own, Number(type[1]), ofSuperBlock);
  }
  const asymmetric = type.endsWith('_1');
  const bits = Number(type[1]);
  const size = (asymmetric ? 4 : 2) + 4 * bits;
  return Float32Array.from({ length: count }, (_, i) => {
    const block = Math.floor(i / 32) * size;
    const inBlock = i % 32;
    const d = float16Value(bytes.readUInt16LE(block));
    if (bits === 8) return d * bytes.readInt8(block + 2 + inBlock);
    const m = asymmetric ? float16Value(bytes.readUInt16LE(block + 2)) : -d * 2 ** (bits - 1);
    const codes = block + size - 16;
    const pair = bytes[codes + (inBlock % 16)] ?? 0;
    let code = inBlock < 16 ? pair & 15 : pair >>> 4;
    if (bits === 5) code |= ((bytes.readUInt32LE(codes - 4) >>> inBlock) & 1) << 4;
    return d * code + m;
  });
}

const types: [string, Partial<Grid>][] = [
  ['Q4_0', { bits: 4, symmetric: true }],
  ['Q4_1', { bits: 4 }],
  ['Q5_0', { bits: 5, symmetric: true }],
  ['Q5_1', { bits: 5 }],
  ['Q8_0', { bits: 8, symmetric: true }],
  ...[2, 3, 4, 5, 6].map((bits): [string, Grid] => [`Q${bits}_K`, superGrid(bits)]),
];

describe.each(types)('%s', (type, changes) => {
  it('holds the weights that were executed, biases too', async () => {
    const grid = { ...baseGrid, ...changes };
    const sizes = grid.superBlocks ? superSizes : { hidden_size: 64, intermediate_size: 96 };
    const { hidden_size: hidden, intermediate_size: intermediate } = sizes;
    const source = await randomLlama(sizes);
    const { directory, blocks } = await exportRandom(device, source, 'gguf', grid);
    const file = join(directory, 'model.gguf');
    const bytes = readFileSync(file);
    const { tensorInfos, tensorDataOffset } = await parse(directory);
    const part = (name: string) => {
      const info = tensorInfos.find((tensor) => tensor.name === name);
      if (info === undefined) throw new RangeError(name);
      return bytes.subarray(Number(tensorDataOffset) + Number(info.offset));
    };
    const expected = blocks[1]?.get('mlp.down_proj');
    expectClose(
      dequantize(part('blk.1.ffn_down.weight'), hidden * intermediate, type),
      expected?.weight ?? [],
      1e-6,
    );
    const bias = Float32Array.from({ length: hidden }, (_, i) =>
      part('blk.1.ffn_down.bias').readFloatLE(4 * i),
    );
    expect(bias).toEqual(expected?.bias);

    // Rotary pairs side by side: rows 2i and 2i + 1 of one of four heads are its rows i and i + half.
    const half = hidden / 8;
    const query = Float32Array.from(dequantize(part('blk.0.attn_q.weight'), hidden * hidden, type));
    const original = blocks[0]?.get('self_attn.q_proj')?.weight ?? new Float32Array();
    for (const [stored, source] of [
      [0, 0],
      [1, half],
      [2, 1],
      [2 * half + 1, 3 * half],
    ] as const) {
      const row = (values: Float32Array, index: number) =>
        values.subarray(hidden * index, hidden * (index + 1));
      expectClose(row(query, stored), row(original, source), 1e-6);
    }
  });
});

it('holds embedding and head in eight bits', async () => {
  const source = await randomLlama({ tie_word_embeddings: false });
  const options = { embeddingBits: 8 };
  const { directory } = await exportRandom(device, source, 'gguf', baseGrid, options);
  const bytes = readFileSync(join(directory, 'model.gguf'));
  const { tensorInfos, tensorDataOffset } = await parse(directory);
  const files = await openModelFiles(directory);
  const stored = await files.open(device, readModel(files.config, files.tensors));
  for (const [name, own] of [
    ['token_embd.weight', 'model.embed_tokens.weight'],
    ['output.weight', 'lm_head.weight'],
  ] as const) {
    const { offset = 0n, dtype } = tensorInfos.find((tensor) => tensor.name === name) ?? {};
    expect(dtype).toBe(8);
    const part = bytes.subarray(Number(tensorDataOffset) + Number(offset));
    const values = dequantize(part, 300 * 64, 'Q8_0');
    using original = loadTensor(device, source, own, { dtype: 'float32' });
    const exact = await original.readFloat32();
    for (let i = 0; i < exact.length; i += 32) {
      const block = exact.subarray(i, i + 32);
      const step = (2 * block.reduce((most, x) => Math.max(most, Math.abs(x)), 0)) / 255;
      expectClose(Array.from(values).slice(i, i + 32), block, 0.6 * step);
    }
    const loaded = await stored.loadWeights([own]);
    const again = device.cast(loaded.get(own), 'float32');
    expectClose(await again.readFloat32(), values, 1e-6);
    loaded.dispose();
  }
});

it('says all of the model and its tokenizer', async () => {
  const { directory } = await exportRandom(device, await randomLlama(), 'gguf');
  const { metadata, tensorInfos } = await parse(directory);
  expect(metadata).toMatchObject({
    version: 3,
    'general.architecture': 'llama',
    'general.file_type': 3,
    'llama.block_count': 2,
    'llama.embedding_length': 64,
    'llama.feed_forward_length': 96,
    'llama.attention.head_count': 4,
    'llama.attention.head_count_kv': 2,
    'llama.rope.dimension_count': 16,
    'llama.context_length': 128,
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'gpt-2',
    'tokenizer.ggml.merges': ['t h'],
    'tokenizer.ggml.bos_token_id': 257,
    'tokenizer.ggml.add_bos_token': false,
  });
  expect(metadata['llama.attention.layer_norm_rms_epsilon']).toBeCloseTo(1e-5, 10);
  const tokens = metadata['tokenizer.ggml.tokens'] as string[];
  const tokenTypes = metadata['tokenizer.ggml.token_type'] as number[];
  expect(tokens).toHaveLength(300);
  expect([256, 257, 299].map((id) => tokens[id])).toEqual(['th', '<s>', '[PAD299]']);
  expect([256, 257, 299].map((id) => tokenTypes[id])).toEqual([1, 3, 5]);
  const shapeOf = (name: string) =>
    tensorInfos.find((tensor) => tensor.name === name)?.shape.map(Number);
  expect(shapeOf('token_embd.weight')).toEqual([64, 300]);
  expect(shapeOf('blk.0.ffn_gate.weight')).toEqual([64, 96]);
  expect(shapeOf('rope_freqs.weight')).toBeUndefined();
  // Norms of two blocks, seven weights and biases each, the last norm and the embedding.
  expect(tensorInfos).toHaveLength(2 * (2 + 14) + 2);
});

it('writes rotary frequencies that were changed as factors', async () => {
  const rope = {
    rope_type: 'llama3',
    rope_theta: 500,
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 32,
  };
  const checkpoint = await randomLlama({ rope_parameters: rope });
  const { directory } = await exportRandom(device, checkpoint, 'gguf');
  const file = await GgufFile.open(join(directory, 'model.gguf'));
  const bytes = Buffer.from(await file.read('rope_freqs.weight', 32));
  const factors = Float32Array.from({ length: 8 }, (_, i) => bytes.readFloatLE(4 * i));
  // Turns in the original context: 32·500^(−i/8)/2π, from 4 on the plain frequency, up to 1 an eighth of it.
  const expected = Float32Array.from({ length: 8 }, (_, i) => {
    const turns = (32 * 500 ** (-i / 8)) / (2 * Math.PI);
    const share = Math.min(1, Math.max(0, (turns - 1) / 3));
    return 1 / (share + (1 - share) / 8);
  });
  expectClose(factors, expected, 1e-4);
});

it('refuses a model of no architecture of llama.cpp', async () => {
  const latent = { q_lora_rank: null, kv_lora_rank: 32, qk_nope_head_dim: 16, v_head_dim: 16 };
  const checkpoint = await randomLlama({
    ...{ model_type: 'deepseek_v2', ...latent, qk_rope_head_dim: 16, num_key_value_heads: 4 },
    ...{ n_routed_experts: 4, num_experts_per_tok: 2, moe_intermediate_size: 32 },
    first_k_dense_replace: 1,
  });
  await expect(exportRandom(device, checkpoint, 'gguf')).rejects.toThrow(
    /^Expected a model of type bloom, .*, starcoder2 for format gguf but received deepseek_v2; use format huggingface or compressed-tensors\.$/,
  );
});

const untied = { tie_word_embeddings: false };
const yarn = { type: 'yarn', factor: 4, original_max_position_embeddings: 32 };
const llama3 = {
  ...{ rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
  original_max_position_embeddings: 32,
};

it.each<[string, Record<string, unknown>]>([
  ['norm_topk_prob true, as qwen3moe computes it,', { model_type: 'qwen3_moe', head_dim: 16 }],
  ['experts in every block', { model_type: 'qwen2_moe', mlp_only_layers: [1] }],
  ['4 heads of keys and values in olmoe', { model_type: 'olmoe' }],
  ['no bias of self_attn.o_proj', { model_type: 'qwen3', attention_bias: true, head_dim: 16 }],
  [
    "plain rotary frequencies, or linear or yarn's, in qwen3",
    { model_type: 'qwen3', rope_scaling: llama3 },
  ],
  [
    "plain rotary frequencies, or linear or yarn's, in qwen3",
    { model_type: 'qwen3', rope_scaling: { ...yarn, beta_slow: 0.01 } },
  ],
  [
    'a scale of attention scores of 0.25, as gemma2 computes it,',
    { model_type: 'gemma2', hidden_act: 'gelu_pytorch_tanh', query_pre_attn_scalar: 32 },
  ],
  [
    'a cap of attention scores above 0 in gemma2',
    { model_type: 'gemma2', query_pre_attn_scalar: 16, attn_logit_softcapping: null },
  ],
  ['a head that is the embedding in gemma', { model_type: 'gemma', hidden_act: 'gelu', ...untied }],
  ['the activation silu in granite', { model_type: 'granite', hidden_act: 'gelu' }],
  ['heads that fill 64 channels in olmo2', { model_type: 'olmo2', head_dim: 32 }],
  [
    'rotary positions of block 1 to be as in the others in smollm3',
    { model_type: 'smollm3', no_rope_layers: [1, 0] },
  ],
  [
    'rotary positions of block 1 to be as in the others in exaone4',
    { model_type: 'exaone4', sliding_window: 32, sliding_window_pattern: 2 },
  ],
])('expects %s', async (expected, changes) => {
  const experts = { num_experts: 4, num_experts_per_tok: 2, moe_intermediate_size: 32 };
  const checkpoint = await randomLlama({ ...experts, head_dim: 16, ...changes });
  await expect(exportRandom(device, checkpoint, 'gguf')).rejects.toThrow(`Expected ${expected}`);
});

describe('longrope', () => {
  const factors = (factor: number) => Array.from({ length: 8 }, () => factor);
  const exported = async (original: number) =>
    exportRandom(
      device,
      await randomLlama({
        original_max_position_embeddings: original,
        rope_scaling: { type: 'longrope', short_factor: factors(2), long_factor: factors(4) },
      }),
      'gguf',
    );

  it('is refused where factors depend on the length of the sequence', async () => {
    await expect(exported(32)).rejects.toThrow(
      'Expected rotary frequencies that are the same for every sequence for format gguf but received others beyond ' +
        '32 tokens; use format huggingface or compressed-tensors.',
    );
  });

  it('is written where no sequence is long', async () => {
    const { directory } = await exported(128);
    const file = await GgufFile.open(join(directory, 'model.gguf'));
    const bytes = Buffer.from(await file.read('rope_freqs.weight', 32));
    expect(bytes.readFloatLE(12)).toBeCloseTo(2, 5);
  });
});

it('cuts a context to one window where llama.cpp does not slide', async () => {
  const window = { use_sliding_window: true, sliding_window: 32, max_window_layers: 0 };
  const checkpoint = await randomLlama({ model_type: 'qwen3', head_dim: 16, ...window });
  const { directory } = await exportRandom(device, checkpoint, 'gguf');
  const { metadata } = await parse(directory);
  expect(metadata['qwen3.context_length']).toBe(32);
});

it('runs Qwen2 and Mistral as LLaMA, with biases in every linear', async () => {
  for (const model_type of ['qwen2', 'mistral']) {
    const checkpoint = await randomLlama({ model_type, sliding_window: 40 });
    const { directory } = await exportRandom(device, checkpoint, 'gguf');
    const { metadata, tensorInfos } = await parse(directory);
    expect(metadata['general.architecture']).toBe('llama');
    // A context that fits into the window needs none; Qwen2's is off.
    expect(metadata['llama.context_length']).toBe(model_type === 'mistral' ? 40 : 128);
    const biases = tensorInfos.filter(({ name }) => name.endsWith('.bias'));
    expect(biases).toHaveLength(14);
  }
});

describe('a file that is no GGUF', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ballast-gguf-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each([
    ['another magic', Buffer.from('GGML0000'), /no GGUF of version 2 or 3/],
    [
      'a header that is cut off',
      Buffer.from('GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0', 'latin1'),
      /no end/,
    ],
    [
      'a length beyond the file',
      Buffer.from(`GGUF\x03\0\0\0${'\x01\0\0\0\0\0\0\0'.repeat(2)}${'\xff'.repeat(8)}`, 'latin1'),
      /no end/,
    ],
  ])('%s is told', async (what, bytes, message) => {
    const path = join(folder, `${what}.gguf`);
    writeFileSync(path, bytes);
    await expect(GgufFile.open(path)).rejects.toThrow(message);
    await expect(GgufFile.open(path)).rejects.toMatchObject({ code: 'ERR_CHECKPOINT' });
  });
});
