// MXFP4 checkpoints seen as those of the float models that they stand for: against what transformers dequantized (mxfp4/, by
// scripts/verify/make-mxfp4-models.py).

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { withFloatWeights } from '../../lib/checkpoint/float-weights.js';
import { loadTensor } from '../../lib/checkpoint/load-tensor.js';
import { readTensor } from '../../lib/checkpoint/read-tensor.js';
import { readHeader } from '../../lib/checkpoint/safetensors-header.js';
import { rowsOf, storedBytes, type TensorInfo } from '../../lib/checkpoint/tensor-info.js';
import { Device } from '../../lib/device/index.js';
import { expectTensors, loadBlock } from '../../lib/execution/index.js';
import { readModel } from '../../lib/models/index.js';
import { modelDirectory, safetensorsBytes } from './files.js';

const root = join(import.meta.dirname, 'mxfp4');

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

const read = ({ config, tensors }: Checkpoint) => readModel(config, new Set(tensors.keys()));

it('has the weights that transformers makes of it, bit for bit', async () => {
  const stored = await Checkpoint.open(root);
  const seen = withFloatWeights(stored);
  const { tensors: golden } = await readHeader(join(root, 'golden.safetensors'));
  expect([...seen.tensors.keys()].sort()).toEqual([...golden.keys()].sort());
  const told = ({ dtype, shape, bytes }: TensorInfo) => ({ dtype, shape, bytes });
  for (const expected of golden.values()) {
    expect(told(seen.tensor(expected.name)), expected.name).toEqual(told(expected));
  }
  const { parts = [] } = read(seen);
  // Three experts, of two weights and two biases each.
  expect(parts).toHaveLength(12);
  const apart = seen.takenApart(parts);
  for (const info of apart.tensors.values()) {
    const { name } = info;
    const part = parts.find((one) => one.name === name);
    const expected =
      part === undefined
        ? (golden.get(name) as TensorInfo)
        : rowsOf(golden.get(part.source) as TensorInfo, name, part.firstRow, part.rows);
    using tensor = loadTensor(device, apart, name);
    const found = Buffer.from(await tensor.read());
    expect(found.equals(await readTensor(expected)), name).toBe(true);
  }
  expect(seen.config).not.toHaveProperty('quantization_config');
  expect(await seen.fingerprint()).toBe(await stored.fingerprint());
});

it('takes a quarter of the bytes until it is loaded', async () => {
  const apart = withFloatWeights(await Checkpoint.open(root));
  const { float4, ...info } = apart.tensor('model.layers.0.mlp.experts.gate_up_proj');
  expect(info.shape).toEqual([3, 64, 192]);
  expect(storedBytes({ ...info, ...(float4 && { float4 }) })).toBe(info.bytes / 4);
});

const config = JSON.stringify({ quantization_config: { quant_method: 'mxfp4' } });

/** A checkpoint of tensors of bytes. */
async function ofBytes(shapes: Record<string, { tag?: string; shape: number[] }>) {
  const header: Record<string, object> = {};
  let end = 0;
  for (const [name, { tag = 'U8', shape }] of Object.entries(shapes)) {
    const bytes = shape.reduce((product, extent) => product * extent, 1);
    header[name] = { dtype: tag, shape, data_offsets: [end, end + bytes] };
    end += bytes;
  }
  return Checkpoint.open(
    await modelDirectory({
      'config.json': config,
      'model.safetensors': safetensorsBytes(header, Buffer.alloc(end)),
    }),
  );
}

describe('refuses', () => {
  const blocks = { shape: [2, 8, 3, 16] };
  it.each([
    ['weights without scales', { a_blocks: blocks }, 'Expected a_scales beside the MXFP4 weight'],
    [
      'scales of another shape',
      { a_blocks: blocks, a_scales: { shape: [2, 8, 2] } },
      'Expected uint8 [2, 8, 3] for a_scales',
    ],
    [
      'scales of another type',
      { a_blocks: blocks, a_scales: { tag: 'F8_E8M0', shape: [2, 8, 3] } },
      'holds float8_e8m0fnu [2, 8, 3]',
    ],
    [
      'blocks of another size',
      { a_blocks: { shape: [2, 8, 3, 8] }, a_scales: { shape: [2, 8, 3] } },
      'Expected uint8 [experts, out, groups, 16] for a_blocks',
    ],
  ] as [string, Record<string, { tag?: string; shape: number[] }>, string][])(
    '%s',
    async (_, tensors, message) => {
      const stored = await ofBytes(tensors);
      expect(() => withFloatWeights(stored)).toThrow(
        expect.objectContaining({
          code: 'ERR_CHECKPOINT',
          message: expect.stringContaining(message),
        }),
      );
    },
  );

  it('matrices of other channels than config.json says', async () => {
    const seen = withFloatWeights(await Checkpoint.open(root));
    const config = { ...seen.config, hidden_size: 32 };
    const model = readModel(config, new Set(seen.tensors.keys()));
    expect(() => seen.takenApart(model.parts ?? [])).toThrow(
      expect.objectContaining({
        code: 'ERR_CHECKPOINT',
        message: expect.stringMatching(/Expected 32 input channels for .*gate_up_proj as config/),
      }),
    );
  });

  it('experts of a block that config.json does not have', async () => {
    const seen = withFloatWeights(await Checkpoint.open(root));
    const info = seen.tensor('model.layers.0.mlp.experts.down_proj');
    const name = 'model.layers.1.mlp.experts.down_proj';
    const model = read(seen);
    const more = seen.seenAs(seen.config, new Map([...seen.tensors, [name, { ...info, name }]]));
    expect(() => expectTensors(more.takenApart(model.parts ?? []), model)).toThrow(
      `Expected every MXFP4 weight to be of experts in a block but ${name} in`,
    );
  });

  it('a scale that is not a number', async () => {
    const source = withFloatWeights(await Checkpoint.open(root));
    const { float4, file } = source.tensor('model.layers.0.mlp.experts.down_proj');
    const bytes = await readFile(file);
    bytes[float4?.scales.offset ?? 0] = 255;
    const text = await readFile(join(root, 'config.json'), 'utf8');
    const directory = await modelDirectory({ 'config.json': text, 'model.safetensors': bytes });
    const seen = withFloatWeights(await Checkpoint.open(directory));
    const model = read(seen);
    const apart = seen.takenApart(model.parts ?? []);
    await expect(loadBlock(device, apart, model, 0)).rejects.toMatchObject({
      code: 'ERR_CHECKPOINT',
      message: expect.stringMatching(
        /experts\.0\.down_proj\.weight in .* holds 32 values that are NaN/,
      ),
    });
  });
});
