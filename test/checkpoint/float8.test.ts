// FP8 checkpoints seen as those of the float models that they stand for: against what transformers dequantized
// (float8/, by scripts/verify/make-float8-models.py), and against values computed here.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { withFloatWeights } from '../../lib/checkpoint/float-weights.js';
import { loadTensor } from '../../lib/checkpoint/load-tensor.js';
import { readTensor } from '../../lib/checkpoint/read-tensor.js';
import { readHeader } from '../../lib/checkpoint/safetensors-header.js';
import { Device } from '../../lib/device/index.js';
import { loadBlock } from '../../lib/execution/index.js';
import { readModel } from '../../lib/models/index.js';
import { randomLlama } from '../export/random-llama.js';
import { modelDirectory, safetensorsBytes } from './files.js';
import { float8Copies, inBlocks } from './float8-copies.js';

const root = join(import.meta.dirname, 'float8');

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

it.each(readdirSync(root))(
  '%s: the weights that transformers makes of it, bit for bit',
  async (name) => {
    const stored = await Checkpoint.open(join(root, name));
    const seen = withFloatWeights(stored);
    const { tensors: golden } = await readHeader(join(root, name, 'golden.safetensors'));
    expect([...seen.tensors.keys()].sort()).toEqual([...golden.keys()].sort());
    for (const expected of golden.values()) {
      const { dtype, shape, bytes } = seen.tensor(expected.name);
      expect({ dtype, shape, bytes }).toEqual({
        dtype: expected.dtype,
        shape: expected.shape,
        bytes: expected.bytes,
      });
      const tensor = loadTensor(device, seen, expected.name);
      const found = Buffer.from(await tensor.read());
      expect(found.equals(await readTensor(expected)), expected.name).toBe(true);
      tensor.dispose();
    }
    expect(seen.config).not.toHaveProperty('quantization_config');
    expect(await seen.fingerprint()).toBe(await stored.fingerprint());
  },
);

const config = (quantization: object) => JSON.stringify({ quantization_config: quantization });

/** A checkpoint of one matrix [3, 5] of the code of 1.5, and scales of that type and shape. */
async function oneWeight(
  quantization: object,
  scales: Record<string, { tag?: string; shape: number[] }> = {},
  shape = [3, 5],
) {
  const header: Record<string, object> = {
    'a.weight': { dtype: 'F8_E4M3', shape, data_offsets: [0, 15] },
  };
  let end = 15;
  const parts = [Buffer.alloc(15, 0x3c)];
  for (const [name, { tag = 'F32', shape: own }] of Object.entries(scales)) {
    const count = own.reduce((product, extent) => product * extent, 1);
    const values = Buffer.from(Float32Array.from({ length: count }, (_, i) => i + 1).buffer);
    const bytes = tag === 'F32' ? values : Buffer.alloc(count, 127);
    header[name] = { dtype: tag, shape: own, data_offsets: [end, end + bytes.length] };
    end += bytes.length;
    parts.push(bytes);
  }
  const files = {
    'config.json': config(quantization),
    'model.safetensors': safetensorsBytes(header, Buffer.concat(parts)),
  };
  return Checkpoint.open(await modelDirectory(files));
}

const blocks = { quant_method: 'fp8', weight_block_size: [2, 2] };
const group = (weights: object, format = 'float-quantized') => ({
  quant_method: 'compressed-tensors',
  format,
  config_groups: {
    group_0: { weights: { num_bits: 8, type: 'float', ...weights } },
    // Of one that quantizes activations alone.
    group_1: { weights: null },
  },
});

describe('scales', () => {
  it.each([
    [
      'of blocks',
      blocks,
      'a.weight_scale_inv',
      [2, 3],
      [1, 1, 2, 2, 3, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6],
    ],
    ['of no blocks', { ...blocks, weight_block_size: null }, 'a.weight_scale_inv', [], 1],
    ['of the older name', { quant_method: 'fp8' }, 'a.weight_scale', [1], 1],
    ['of usual blocks', { quant_method: 'fp8' }, 'a.weight_scale_inv', [1, 1], 1],
    ['of rows', { quant_method: 'fbgemm_fp8' }, 'a.weight_scale', [3, 1], [1, 2, 3]],
    ['of a tensor', group({}), 'a.weight_scale', [1], 1],
    ['of channels', group({ strategy: 'channel' }), 'a.weight_scale', [3, 1], [1, 2, 3]],
    ['of channels, a vector', group({ group_size: -1 }), 'a.weight_scale', [3], [1, 2, 3]],
    [
      'of groups',
      group({ strategy: 'group', group_size: 3 }, 'naive-quantized'),
      'a.weight_scale',
      [3, 2],
      [1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 5, 6, 6],
    ],
    [
      'of blocks in words',
      group({ strategy: 'block', block_structure: '3x4' }),
      'a.weight_scale',
      [1, 2],
      [1, 1, 1, 1, 2, 1, 1, 1, 1, 2, 1, 1, 1, 1, 2],
    ],
    [
      'of blocks of another tool',
      group({ strategy: 'block', block_structure: [2, 4] }),
      'a.weight_scale',
      [2, 2],
      [1, 1, 1, 1, 2, 1, 1, 1, 1, 2, 3, 3, 3, 3, 4],
    ],
  ] as [string, object, string, number[], number | number[]][])(
    '%s',
    async (_, quantization, name, shape, expected) => {
      const seen = withFloatWeights(await oneWeight(quantization, { [name]: { shape } }));
      expect([...seen.tensors.keys()]).toEqual(['a.weight']);
      const weight = loadTensor(device, seen, 'a.weight', { dtype: 'float32' });
      const each = [expected].flat();
      const factors = Array.from(
        { length: 15 },
        (__, i) => each[Math.floor((i * each.length) / 15)],
      );
      expect([...(await weight.readFloat32())]).toEqual(
        factors.map((factor) => 1.5 * (factor ?? 0)),
      );
    },
  );

  it('of a decoder inside another model, in the type that its config.json names', async () => {
    const stored = await oneWeight({}, { 'a.weight_scale_inv': { shape: [2, 3] } });
    const decoder = { dtype: 'float16', hidden_size: 5 };
    const whole = {
      architectures: ['Some'],
      text_config: { ...decoder, quantization_config: blocks },
    };
    const seen = withFloatWeights(stored.seenAs(whole, stored.tensors));
    expect(seen.tensor('a.weight').dtype).toBe('float16');
    expect(seen.config).toEqual({ ...whole, text_config: decoder });
  });
});

describe('refuses', () => {
  const unsupported = (field: string, quantization: object) =>
    [field, quantization, {}, 'ERR_UNSUPPORTED', `${field} in config.json of`] as const;
  it.each([
    unsupported('quantization_config.fmt', { ...blocks, fmt: 'e5m2' }),
    unsupported('quantization_config.weight_block_size', { ...blocks, weight_block_size: [128] }),
    unsupported('quantization_config.expert_dtype', { ...blocks, expert_dtype: 'fp4' }),
    unsupported('quantization_config.config_groups', { ...group({}), config_groups: {} }),
    unsupported(
      'quantization_config.config_groups.group_0.weights.num_bits',
      group({ num_bits: 4 }),
    ),
    unsupported('quantization_config.config_groups.group_0.weights.type', group({ type: 'int' })),
    unsupported(
      'quantization_config.config_groups.group_0.weights.symmetric',
      group({ symmetric: false }),
    ),
    unsupported(
      'quantization_config.config_groups.group_0.weights.strategy',
      group({ strategy: 'token' }),
    ),
    unsupported('quantization_config.transform_config', {
      ...group({}),
      transform_config: { config_groups: { rotation: {} } },
    }),
    unsupported('quantization_config.sparsity_config.format', {
      ...group({}),
      sparsity_config: { format: 'sparse-24-bitmask' },
    }),
    [
      'other formats',
      group({}, 'nvfp4-pack-quantized'),
      {},
      'ERR_UNSUPPORTED',
      '(compressed-tensors); pass',
    ],
    [
      'weights without scales',
      blocks,
      {},
      'ERR_CHECKPOINT',
      'Expected a.weight_scale_inv beside the FP8 weight a.weight in',
    ],
    [
      'scales of another shape',
      blocks,
      { 'a.weight_scale_inv': { shape: [3, 2] } },
      'ERR_CHECKPOINT',
      'Expected shape [2, 3] for a.weight_scale_inv, the scales of a.weight [3, 5], but',
    ],
    [
      'scales of another type',
      blocks,
      { 'a.weight_scale_inv': { tag: 'F8_E8M0', shape: [2, 3] } },
      'ERR_UNSUPPORTED',
      'Expected one of float32, float16, bfloat16 for a.weight_scale_inv but',
    ],
    [
      'scales of nothing',
      blocks,
      { 'a.weight_scale_inv': { shape: [2, 3] }, 'b.weight_scale_inv': { shape: [1, 1] } },
      'ERR_CHECKPOINT',
      'Expected a weight of float8_e4m3fn beside b.weight_scale_inv in',
    ],
    [
      'scales beside which others would be left',
      { ...blocks, weight_block_size: null },
      { 'a.weight_scale_inv': { shape: [] }, 'a.weight_scale': { shape: [] } },
      'ERR_CHECKPOINT',
      'beside a.weight_scale in',
    ],
  ] as [string, object, Record<string, { tag?: string; shape: number[] }>, string, string][])(
    '%s',
    async (_, quantization, scales, code, message) => {
      const stored = await oneWeight(quantization, scales);
      expect(() => withFloatWeights(stored)).toThrow(
        expect.objectContaining({ code, message: expect.stringContaining(message) }),
      );
    },
  );

  it('weights that are no matrices', async () => {
    const scales = { 'a.weight_scale_inv': { shape: [1, 2, 3] } };
    const stored = await oneWeight(blocks, scales, [1, 3, 5]);
    expect(() => withFloatWeights(stored)).toThrow(
      'Expected a matrix for the FP8 weight a.weight but',
    );
  });
});

describe('values that are not finite', () => {
  const name = 'model.layers.0.mlp.up_proj.weight';
  it.each([
    ['a code', name, (bytes: Uint8Array) => bytes.fill(0x7f, 7, 8)],
    ['a scale', `${name}_scale_inv`, (bytes: Uint8Array) => bytes.fill(0xff, 0, 4)],
  ] as [string, string, (bytes: Uint8Array) => void][])('%s', async (_, damaged, damage) => {
    const source = await randomLlama({ dtype: 'bfloat16' }, 'bfloat16');
    const { stored } = await float8Copies(source, inBlocks, (entries) => {
      const found = entries.find((entry) => entry.name === damaged);
      if (found !== undefined) damage(found.bytes);
      return entries;
    });
    const seen = withFloatWeights(await Checkpoint.open(stored));
    const model = readModel(seen.config, new Set(seen.tensors.keys()));
    await expect(loadBlock(device, seen, model, 0)).rejects.toMatchObject({
      code: 'ERR_CHECKPOINT',
      message: expect.stringMatching(
        new RegExp(`^${name} in .*model.safetensors holds \\d+ values`),
      ),
    });
  });
});
