// What inspection says of results that are no checkpoints, and of such files when they are damaged.

import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { inspect } from '../../lib/index.js';
import { ballast } from '../cli/command.js';
import { finish } from '../pipeline/runs.js';
import { randomLlama } from './random-llama.js';
import { quantizedTiny } from './tiny-vision.js';

const run = { method: 'rtn', samples: 2, sequenceLength: 32, heldOut: 0, bits: 4 } as const;

async function ggufResult(): Promise<string> {
  const { directory } = await finish((await randomLlama()).directory, { ...run, format: 'gguf' });
  return directory;
}

it('reads a GGUF result', async () => {
  const directory = await ggufResult();
  // Four projections of attention and three of the MLP in each of two blocks; a bias for each, in float32.
  const weights = 2 * (4 * 64 * 64 - 2 * 32 * 64 + 3 * 64 * 96);
  const vectors = 2 * (2 * 64 + 2 * 32 + 2 * 96 + 64 + 2 * 64) + 64;
  expect(await inspect(directory)).toMatchObject({
    model: directory,
    modelType: 'llama',
    blocks: 2,
    hiddenSize: 64,
    vocabularySize: 300,
    linears: 14,
    linearParameters: weights,
    tensors: 2 * (2 + 14) + 2,
    parameters: weights + vectors + 300 * 64,
    dtypes: ['float32', 'Q4_1', 'float16'],
    // 32 values of 4 bits with two float16 numbers.
    bytes: (weights / 32) * 20 + 4 * vectors + 2 * 300 * 64,
    file: 'model.gguf',
    metadata: {
      'general.architecture': 'llama',
      'general.file_type': 3,
      'llama.block_count': 2,
      'llama.attention.layer_norm_rms_epsilon': 1e-5,
      'tokenizer.ggml.add_bos_token': false,
    },
    quantization: { format: 'gguf', options: { bits: 4 } },
  });
  const { stdout } = await ballast(['inspect', directory]);
  expect(stdout).toMatch(/tensors +│ 34, float32, Q4_1, float16/);
  expect(stdout).toMatch(/model\.gguf +│ +│/);
  expect(stdout).toMatch(/llama\.context_length +│ 128/);
  expect(stdout).toMatch(/quantized +│ yes/);
});

it('reads an ONNX result', async () => {
  const directory = await quantizedTiny('vit', { bits: 4 });
  const { linears, linearParameters, dtypes, bytes, file, metadata, ...rest } =
    await inspect(directory);
  expect(rest).toMatchObject({ modelType: 'vit', quantization: { format: 'onnx' } });
  expect(file).toBe('model.onnx');
  expect(metadata).toMatchObject({ producer: 'ballast', 'IR version': 10, 'opset ai.onnx': 21 });
  expect([...dtypes].sort()).toEqual(['float32', 'int64', 'uint8']);
  // Packed codes, two a byte, and all that is no linear's beside them.
  expect(bytes).toBeGreaterThan(linearParameters / 2);
  expect(linears).toBeGreaterThan(0);
});

it('believes no length of a damaged GGUF file', async () => {
  const directory = await ggufResult();
  const file = join(directory, 'model.gguf');
  const whole = readFileSync(file);
  const refused = async (change: (bytes: Buffer) => void, message: RegExp) => {
    const bytes = Buffer.from(whole);
    change(bytes);
    writeFileSync(file, bytes);
    const error = await inspect(directory).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'ERR_CHECKPOINT' });
    expect(error.message).toMatch(message);
    expect(error.message).toContain(file);
  };
  const dimensions = whole.indexOf('token_embd.weight') + 'token_embd.weight'.length;
  await refused((bytes) => bytes.write('GGML'), /no GGUF of version 2 or 3/);
  await refused((bytes) => bytes.writeBigUInt64LE(2n ** 60n, 8), /header has no end/);
  await refused((bytes) => bytes.writeBigUInt64LE(2n ** 63n, 24), /header has no end/);
  await refused((bytes) => bytes.writeUInt32LE(5, dimensions), /5 dimensions/);
  await refused((bytes) => bytes.writeBigUInt64LE(2n ** 62n, dimensions + 4), /ends inside tensor/);
  await refused((bytes) => bytes.writeUInt32LE(99, dimensions + 20), /has type 99/);
  await refused((bytes) => bytes.writeUInt32LE(12, dimensions + 20), /no whole blocks of Q4_K/);
  const typeOfFirst = whole.indexOf('general.architecture') + 'general.architecture'.length;
  await refused((bytes) => bytes.writeUInt32LE(13, typeOfFirst), /a value of type 13/);
  writeFileSync(file, whole);
  truncateSync(file, whole.length - 4096);
  await expect(inspect(directory)).rejects.toThrow(/it ends inside tensor/);
});

it('prints no character that would steer a terminal', async () => {
  const directory = await ggufResult();
  const file = join(directory, 'model.gguf');
  const bytes = readFileSync(file);
  bytes.write('\x1b[2J', bytes.indexOf('general.file_type'));
  writeFileSync(file, bytes);
  const shown = await ballast(['inspect', directory]);
  expect(shown.stdout).toMatch(/general\.architecture +│ llama/);
  expect(shown.stdout).not.toContain('file_type');
  const tensor = bytes.indexOf('token_embd.weight');
  bytes.write('\x1b[2J', tensor);
  bytes.writeUInt32LE(5, tensor + 'token_embd.weight'.length);
  writeFileSync(file, bytes);
  const refused = await ballast(['inspect', directory]);
  expect(refused.stderr).toContain('but \ufffd[2J');
  expect(shown.stdout + refused.stderr).not.toContain('\x1b');
});

it('tells an ONNX file whose constants end too early, or that is none', async () => {
  const directory = await quantizedTiny('vit', { bits: 4 });
  truncateSync(join(directory, 'model.onnx.data'), 100);
  await expect(inspect(directory)).rejects.toThrow(/model.onnx.data .* it ends inside tensor/);
  writeFileSync(join(directory, 'model.onnx'), 'no protobuf');
  await expect(inspect(directory)).rejects.toThrow(/it is no ONNX model/);
});
