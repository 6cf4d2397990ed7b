// Finished results: read back and compared, converted, and what cannot be converted refused with one sentence.

import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { Device } from '../../lib/device/index.js';
import { BallastError, exportResult, verify } from '../../lib/index.js';

import { finish } from '../pipeline/runs.js';
import { exampleModel, temporaryFolder } from '../places.js';
import { baseGrid, exportRandom, randomLlama, superGrid, superSizes } from './random-llama.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

const symmetric = { ...baseGrid, symmetric: true };
const formats = ['huggingface', 'compressed-tensors', 'gptq', 'gguf'];

async function digests(directory: string): Promise<unknown> {
  const record = JSON.parse(await readFile(join(directory, 'ballast-export.json'), 'utf8'));
  return record.blocks;
}

async function target(): Promise<string> {
  return join(await temporaryFolder(), 'converted');
}

describe.each(formats)('%s', (format) => {
  it('is verified, and a changed byte of a weight or bias is found', async () => {
    const { directory } = await exportRandom(device, await randomLlama(), format, symmetric);
    const linears = 14;
    expect(await verify(directory)).toEqual({ result: directory, format, linears });

    const file = join(directory, format === 'gguf' ? 'model.gguf' : 'model.safetensors');
    const bytes = await readFile(file);
    // The bias of a linear, by its values: the last byte of a float of it.
    const { blocks } = await exportRandom(device, await randomLlama(), format, symmetric);
    const bias = blocks[1]?.get('mlp.down_proj')?.bias ?? new Float32Array();
    const at = bytes.indexOf(Buffer.from(bias.buffer));
    expect(at).toBeGreaterThan(0);
    await flip(file, at + 3);
    await expect(verify(directory)).rejects.toMatchObject({
      code: 'ERR_CHECKPOINT',
      message: expect.stringContaining('model.layers.1.mlp.down_proj'),
    });
  });
});

it('the reading back of what was written can be stopped at each block', async () => {
  const checkpoint = await randomLlama();
  let asked = 0;
  const throwIfAborted = () => {
    asked++;
    throw new BallastError('ERR_ABORTED', 'Stopped.');
  };
  const stopped = exportRandom(device, checkpoint, 'gptq', symmetric, { throwIfAborted });
  await expect(stopped).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  expect(asked).toBe(1);
});

async function flip(path: string, position: number): Promise<void> {
  await using handle = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, position);
  await handle.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, position);
}

describe('a conversion', () => {
  it.each([
    ['compressed-tensors', 'huggingface'],
    ['compressed-tensors', 'gptq'],
    ['compressed-tensors', 'gguf'],
    ['huggingface', 'compressed-tensors'],
    ['huggingface', 'gptq'],
    ['huggingface', 'gguf'],
    ['gptq', 'huggingface'],
  ])('from %s to %s changes nothing', async (source, to) => {
    const checkpoint = await randomLlama();
    const from = await exportRandom(device, checkpoint, source, symmetric);
    const output = await target();
    expect(await exportResult(from.directory, { format: to, output })).toMatchObject({
      format: to,
    });
    expect(await digests(output)).toEqual(await digests(from.directory));
    expect(await verify(output)).toMatchObject({ linears: 14 });
    if (to === 'gguf') {
      const { directory } = await exportRandom(device, await randomLlama(), 'gguf', symmetric);
      const made = await readFile(join(directory, 'model.gguf'));
      const converted = await readFile(join(output, 'model.gguf'));
      // Tensors are the same ones; the embedding went through float16 in neither.
      expect(converted.equals(made)).toBe(true);
    }
  });

  it('keeps the announced biases in what transformers reads', async () => {
    const from = await exportRandom(device, await randomLlama(), 'gptq', symmetric);
    const output = await target();
    await exportResult(from.directory, { format: 'huggingface', output });
    const { config, tensors } = await Checkpoint.open(output);
    expect(config).toMatchObject({ attention_bias: true, mlp_bias: true });
    expect(config).not.toHaveProperty('quantization_config');
    expect(config).not.toHaveProperty('auto_map');
    expect(tensors.has('model.layers.0.mlp.gate_proj.bias')).toBe(true);
  });

  it.each([
    ['compressed-tensors', 'gguf', baseGrid, /would round the zeros/],
    ['compressed-tensors', 'gguf', { ...symmetric, groupSize: 16 }, /Expected 32 for groupSize/],
    ['huggingface', 'gptq', superGrid(4), /Expected format gguf or huggingface with superBlocks/],
    [
      'compressed-tensors',
      'gptq',
      { ...symmetric, bits: 5 },
      /Expected one of 2, 3, 4, 8 for bits/,
    ],
  ])(
    'from %s to %s is refused where it would change something',
    async (from, to, grid, message) => {
      const { directory } = await exportRandom(device, await randomLlama(superSizes), from, grid);
      const output = await target();
      await expect(exportResult(directory, { format: to, output })).rejects.toThrow(message);
      await expect(readFile(join(output, 'config.json'))).rejects.toThrow('ENOENT');
    },
  );

  it('from gguf takes what the file holds otherwise from the source', async () => {
    const source = await randomLlama();
    const options = { bits: 4, format: 'gguf', samples: 4, sequenceLength: 32, heldOut: 0 };
    const { directory } = await finish(source.directory, options);
    const output = await target();
    await exportResult(directory, { format: 'huggingface', output });
    expect(await digests(output)).toEqual(await digests(directory));
    const { config, tensors } = await Checkpoint.open(output);
    expect(config).toMatchObject({ attention_bias: true });
    expect(tensors.get('model.embed_tokens.weight')?.dtype).toBe('float32');
  });

  it('to gguf is refused for a model that llama.cpp has no architecture for', async () => {
    const grid = { bits: 4, groupSize: 32, symmetric: true, scaleDtype: 'float16' as const };
    const options = { ...grid, format: 'compressed-tensors', samples: 4, sequenceLength: 64 };
    const { directory } = await finish(exampleModel, options);
    await expect(
      exportResult(directory, { format: 'gguf', output: await target() }),
    ).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message: expect.stringMatching(
        /^Expected a model of type bloom, .*, starcoder2 for format gguf but received opt; use format huggingface or compressed-tensors\.$/,
      ),
    });
  });
});

it('tells what is no result', async () => {
  await expect(verify(exampleModel)).rejects.toMatchObject({
    code: 'ERR_CHECKPOINT',
    message: expect.stringContaining('ballast-export.json'),
  });
});

describe('a format’s grid', () => {
  it('is what the options begin from', async () => {
    const source = (await randomLlama()).directory;
    const { report } = await finish(source, {
      bits: 4,
      format: 'gguf',
      samples: 4,
      sequenceLength: 32,
    });
    expect(report.options).toMatchObject({ groupSize: 32, scaleDtype: 'float16' });
  });

  it.each([
    [
      { format: 'gguf', bits: 7 },
      'Expected 4, 5 or 8 without superBlocks for bits with format gguf but received 7.',
    ],
    [{ embeddingBits: 8 }, 'Expected 16 for embeddingBits with format huggingface but received 8.'],
    [
      { format: 'gguf', embeddingBits: 12 },
      'Expected 8 or 16 for embeddingBits with format gguf but received 12.',
    ],
    [
      { format: 'gptq', superBlocks: true },
      'Expected format gguf or huggingface with superBlocks but received gptq, which has no such grids.',
    ],
    [
      { format: 'gguf', bits: 8 },
      'Expected true at 8 bits for symmetric with format gguf but received false.',
    ],
    [
      { format: 'gguf', groupSize: 64 },
      'Expected 32 for groupSize with format gguf but received 64.',
    ],
    [
      { format: 'gptq', bits: 5 },
      'Expected one of 2, 3, 4, 8 for bits with format gptq but received 5.',
    ],
    [
      { format: 'gptq', scaleDtype: 'float32' as const },
      'Expected float16 for scaleDtype with format gptq but received float32.',
    ],
    [
      { format: 'compressed-tensors', method: 'gptq', actOrder: true },
      'Expected staticGroups with actOrder for format compressed-tensors: it holds groups of consecutive columns only.',
    ],
  ])('refuses %j', async (options, message) => {
    await expect(finish(exampleModel, options)).rejects.toMatchObject({
      code: 'ERR_ARGUMENT',
      message,
    });
  });
});
