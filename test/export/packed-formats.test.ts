// What the packed formats write, taken apart by a reader of the tests' own: bit by bit, by the formats' published
// layouts, with nothing of the library but its safetensors header.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { readHeader } from '../../lib/checkpoint/safetensors-header.js';
import type { TensorInfo } from '../../lib/checkpoint/tensor-info.js';
import { Device } from '../../lib/device/index.js';
import type { Grid } from '../../lib/export/format.js';
import { findFormat } from '../../lib/export/index.js';
import { directoryOf, openModel } from '../models/tiny.js';
import { at, expectClose } from '../native/harness.js';
import { float16Value } from './half-precision.js';
import { baseGrid, exportRandom, randomLlama } from './random-llama.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

/** A result's tensors, element by element. */
async function openTensors(directory: string) {
  const file = join(directory, 'model.safetensors');
  const { tensors } = await readHeader(file);
  const bytes = readFileSync(file);
  const info = (name: string): TensorInfo => {
    const found = tensors.get(name);
    if (found === undefined) throw new RangeError(`No tensor ${name}.`);
    return found;
  };
  return {
    tensors,
    shape: (name: string) => info(name).shape,
    int32: (name: string, i: number) => bytes.readInt32LE(info(name).offset + 4 * i),
    word: (name: string, i: number) => bytes.readUInt32LE(info(name).offset + 4 * i),
    float16: (name: string, i: number) =>
      float16Value(bytes.readUInt16LE(info(name).offset + 2 * i)),
    float32: (name: string, i: number) => bytes.readFloatLE(info(name).offset + 4 * i),
  };
}

/** Value `index` of a dense stream of b-bit values, lowest bits first, whose words `word` gives. */
function field(word: (i: number) => number, index: number, bits: number): number {
  let value = 0;
  for (let bit = 0; bit < bits; bit++) {
    const at = index * bits + bit;
    value |= ((word(at >>> 5) >>> (at & 31)) & 1) << bit;
  }
  return value;
}

const name = (linear: string) => `model.layers.1.${linear}`;
const linears = [
  ['self_attn.k_proj', 32, 64],
  ['mlp.down_proj', 64, 96],
] as const;

describe.each([
  [{}],
  [{ symmetric: true }],
  [{ bits: 2 }],
  [{ bits: 3, groupSize: 0 }],
  [{ bits: 8, groupSize: 16, symmetric: true }],
] as [Partial<Grid>][])('gptq %j', (changes) => {
  it('is unpacked to the weights that were executed', async () => {
    const grid = { ...baseGrid, ...changes };
    const { directory, blocks } = await exportRandom(device, await randomLlama(), 'gptq', grid);
    const { bits, groupSize } = grid;
    const file = await openTensors(directory);
    for (const [linear, out, inputs] of linears) {
      const prefix = name(linear);
      const groups = groupSize === 0 ? 1 : inputs / groupSize;
      expect(file.shape(`${prefix}.qweight`)).toEqual([(inputs * bits) / 32, out]);
      expect(file.shape(`${prefix}.qzeros`)).toEqual([groups, (out * bits) / 32]);
      const expected = blocks[1]?.get(linear);
      const actual = Float32Array.from({ length: out * inputs }, (_, i) => {
        const [row, col] = [Math.floor(i / inputs), i % inputs];
        const group = file.int32(`${prefix}.g_idx`, col);
        const code = field((w) => file.word(`${prefix}.qweight`, w * out + row), col, bits);
        const perGroup = (out * bits) / 32;
        const zero = field((w) => file.word(`${prefix}.qzeros`, group * perGroup + w), row, bits);
        return file.float16(`${prefix}.scales`, group * out + row) * (code - (zero + 1));
      });
      expectClose(actual, expected?.weight ?? [], 1e-7);
      const bias = Float32Array.from({ length: out }, (_, i) => file.float32(`${prefix}.bias`, i));
      expectClose(bias, expected?.bias ?? [], 1e-7);
    }
  });
});

it('gptq refuses a model that holds more than what is quantized', async () => {
  const checkpoint = await Checkpoint.open(directoryOf('gemma3'));
  const { config } = checkpoint;
  expect(() => findFormat('gptq').expectModel?.(openModel(checkpoint), config, baseGrid)).toThrow(
    'Expected a model whose linears are all quantized for format gptq but gemma3 has vision_tower, which stays as it ' +
      'is; use format huggingface or compressed-tensors.',
  );
});

it('gptq keeps the groups of an activation order', async () => {
  // Groups of every second column, for the layers with 64 inputs; the others need as many groups of their own.
  const checkpoint = await randomLlama({ intermediate_size: 64 });
  const groupIndex = Int32Array.from({ length: 64 }, (_, i) => i % 2);
  const grid = { ...baseGrid, actOrder: true };
  const made = await exportRandom(device, checkpoint, 'gptq', grid, { groupIndex });
  const file = await openTensors(made.directory);
  const stored = Int32Array.from({ length: 64 }, (_, i) =>
    file.int32(`${name('mlp.up_proj')}.g_idx`, i),
  );
  expect(stored).toEqual(groupIndex);
  const config = JSON.parse(readFileSync(join(made.directory, 'config.json'), 'utf8'));
  expect(config.quantization_config).toMatchObject({ desc_act: true, bits: 4, group_size: 32 });
});

it('gptq has no zero point of 0, and codes move with it', async () => {
  const { gptq } = await import('../../lib/export/gptq.js');
  const upload = (values: number[]) => device.upload('float32', [1, 2], Float32Array.from(values));
  const weight = {
    codes: device.upload('uint8', [1, 4], Uint8Array.of(0, 15, 3, 15)),
    scales: upload([1, 1]),
    zeros: upload([0, 7]),
  };
  const grid = { ...baseGrid, groupSize: 2 };
  const rounded = await gptq.roundGrid?.(device, weight, grid);
  expect(await rounded?.codes.readUint8()).toEqual(Uint8Array.of(1, 15, 3, 15));
  expect(await rounded?.zeros.readFloat32()).toEqual(Float32Array.of(1, 7));
});

describe.each([
  [{}],
  [{ symmetric: true }],
  [{ bits: 2, groupSize: 16 }],
  [{ bits: 3 }],
  [{ bits: 5, groupSize: 0 }],
  [{ bits: 6, symmetric: true }],
  [{ bits: 7 }],
  [{ bits: 8, groupSize: 0, symmetric: true }],
] as [Partial<Grid>][])('compressed-tensors %j', (changes) => {
  it('is unpacked to the weights that were executed', async () => {
    const grid = { ...baseGrid, ...changes };
    const checkpoint = await randomLlama();
    const made = await exportRandom(device, checkpoint, 'compressed-tensors', grid);
    const { bits, groupSize, symmetric } = grid;
    const file = await openTensors(made.directory);
    for (const [linear, out, inputs] of linears) {
      const prefix = name(linear);
      const groups = groupSize === 0 ? 1 : inputs / groupSize;
      const width = Math.ceil((inputs * bits) / 32);
      expect(file.shape(`${prefix}.weight_packed`)).toEqual([out, width]);
      expect(file.tensors.has(`${prefix}.weight_zero_point`)).toBe(!symmetric);
      const middle = 2 ** (bits - 1);
      const actual = Float32Array.from({ length: out * inputs }, (_, i) => {
        const [row, col] = [Math.floor(i / inputs), i % inputs];
        const group = groupSize === 0 ? 0 : Math.floor(col / groupSize);
        const code = field((w) => file.word(`${prefix}.weight_packed`, row * width + w), col, bits);
        const zero = symmetric
          ? middle
          : field((w) => file.word(`${prefix}.weight_zero_point`, w * groups + group), row, bits);
        // Signed values, as the format defines them: both less 2^(bits−1).
        const scale = file.float16(`${prefix}.weight_scale`, row * groups + group);
        return scale * (code - middle - (zero - middle));
      });
      expectClose(actual, made.blocks[1]?.get(linear)?.weight ?? [], 1e-7);
    }
    const config = JSON.parse(readFileSync(join(made.directory, 'config.json'), 'utf8'));
    expect(config).toMatchObject({ attention_bias: true, mlp_bias: true });
    expect(config.quantization_config.config_groups.group_0.weights).toMatchObject({
      num_bits: bits,
      symmetric,
      group_size: groupSize === 0 ? null : groupSize,
    });
    const { ignore } = config.quantization_config;
    expect(at(ignore, 0)).toBe('lm_head');
    // Patterns begin with 're:' and match from the name's beginning, with the decoder's root or without.
    const patterns = ignore.slice(1).map((pattern: string) => {
      expect(pattern).toMatch(/^re:/);
      return new RegExp(`^${pattern.slice('re:'.length)}`);
    });
    const isIgnored = (module: string) => patterns.some((pattern: RegExp) => pattern.test(module));
    for (const root of ['', 'any.']) {
      expect(isIgnored(`${root}model.embed_tokens`)).toBe(true);
      expect(isIgnored(`${root}model.embed_tokens.more`)).toBe(false);
      expect(isIgnored(`${root}${name('self_attn.q_proj')}`)).toBe(false);
    }
  });
});

it('compressed-tensors names the parts of a model that are not quantized', async () => {
  const checkpoint = await Checkpoint.open(directoryOf('gemma3'));
  const grid = { ...baseGrid, groupSize: 8 };
  const biases = { biases: false };
  const made = await exportRandom(device, checkpoint, 'compressed-tensors', grid, biases);
  const config = JSON.parse(readFileSync(join(made.directory, 'config.json'), 'utf8'));
  expect(config.quantization_config.ignore).toEqual([
    'lm_head',
    're:(.*\\.)?embed_tokens$',
    're:(.*\\.)?vision_tower\\..*$',
    're:(.*\\.)?multi_modal_projector\\..*$',
  ]);
});
