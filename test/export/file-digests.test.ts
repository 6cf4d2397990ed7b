// What verification says of a result's files: those that hold no linear too, in every place where a byte may change.

import { createHash, randomBytes } from 'node:crypto';
import { open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { OutputDirectory } from '../../lib/checkpoint/output/output-directory.js';
import type { TensorInfo } from '../../lib/checkpoint/tensor-info.js';
import { aborted } from '../../lib/errors.js';
import { recordFiles, verifyFiles } from '../../lib/export/file-digests.js';
import type { ExportRecord } from '../../lib/export/record.js';
import { evaluate, exportResult, verify } from '../../lib/index.js';
import { readBlockModel } from '../../lib/models/index.js';

import { finish } from '../pipeline/runs.js';
import { exampleModel, temporaryFolder } from '../places.js';

/** As small as a run can be. */
const run = { method: 'rtn', samples: 2, sequenceLength: 32, heldOut: 0 };
const grid = { groupSize: 32, symmetric: true, scaleDtype: 'float16' } as const;

async function recordOf(directory: string): Promise<ExportRecord> {
  return JSON.parse(await readFile(join(directory, 'ballast-export.json'), 'utf8'));
}

async function flip(path: string, position: number): Promise<void> {
  await using handle = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, position);
  await handle.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, position);
}

/** What is said of a flipped byte, which is flipped back. */
async function flipped(path: string, position: number, directory: string): Promise<unknown> {
  await flip(path, position);
  const error = await verify(directory).catch((reason: unknown) => reason);
  await flip(path, position);
  return error;
}

const differs = (path: string) => ({
  code: 'ERR_CHECKPOINT',
  message: `${path} is not the file that was written: it was damaged, changed or left behind; copy or export the result again.`,
});

const linearDiffers = {
  code: 'ERR_CHECKPOINT',
  message: expect.stringMatching(
    /^model.decoder.layers.3.fc2: the weight or bias that was read back is not the one/,
  ),
};

it.each([
  { format: 'huggingface', held: 'weight', others: ['ballast-grid/grid.safetensors'] },
  { format: 'compressed-tensors', held: 'weight_packed', others: [] },
  { format: 'gptq', held: 'qweight', others: [] },
])('a changed byte is found wherever it is in a result in $format', async (one) => {
  const { format, held, others } = one;
  const options = { ...run, ...grid, bits: 4, maxShardBytes: 1e6 };
  const { directory } = await finish(exampleModel, {
    ...options,
    format,
    compensation: 'position',
  });
  const { tensors } = await Checkpoint.open(directory);
  const info = (name: string) => tensors.get(`model.decoder.${name}`) as TensorInfo;
  // Several files of weights, their index and the biases.
  const weights = new Set(Array.from(tensors.values(), ({ file }) => file));
  expect(weights.size).toBeGreaterThan(1);
  const files = weights.size + 2 + others.length;
  expect(await verify(directory)).toEqual({ result: directory, format, linears: 24, files });

  const outer = ['embed_tokens.weight', 'embed_positions.weight', 'final_layer_norm.bias'];
  const inBlock = ['layers.0.final_layer_norm.weight', 'layers.3.self_attn_layer_norm.bias'];
  for (const name of [...outer, ...inBlock]) {
    const { file, offset, bytes } = info(name);
    for (const at of [offset, offset + bytes - 1]) {
      expect(await flipped(file, at, directory), name).toMatchObject(differs(file));
    }
  }
  // Of the metadata { format: 'pt' }, which reading weights does not depend on.
  for (const file of weights) {
    const at = (await readFile(file)).indexOf('"pt"') + 1;
    expect(at, file).toBeGreaterThan(8);
    expect(await flipped(file, at, directory), file).toMatchObject(differs(file));
  }
  for (const name of ['ballast-position-biases.safetensors', ...others]) {
    const path = join(directory, name);
    const last = (await readFile(path)).length - 1;
    expect(await flipped(path, last, directory), name).toMatchObject(differs(path));
  }
  for (const name of [held, 'bias']) {
    const { file, offset, bytes } = info(`layers.3.fc2.${name}`);
    for (const at of [offset, offset + bytes - 1]) {
      expect(await flipped(file, at, directory), name).toMatchObject(linearDiffers);
    }
  }
});

it('people may edit settings and tokenizers, and delete the grid, but not biases', async () => {
  const { directory } = await finish(exampleModel, { ...run, ...grid, compensation: 'position' });
  const whole = { result: directory, format: 'huggingface', linears: 24, files: 3 };
  expect(await verify(directory)).toEqual(whole);
  await writeFile(join(directory, 'generation_config.json'), '{}');
  await rm(join(directory, 'ballast-grid'), { recursive: true });
  expect(await verify(directory)).toEqual({ ...whole, files: 2 });
  await rm(join(directory, 'ballast-position-biases.safetensors'));
  await expect(verify(directory)).rejects.toThrow(
    /ballast-position-biases.safetensors is not there/,
  );
  const text = join(await temporaryFolder(), 'text.txt');
  await writeFile(text, 'One text, several words long. '.repeat(50));
  await expect(evaluate(directory, { texts: [text], sequenceLength: 32 })).rejects.toThrow(
    /ballast-position-biases.safetensors cannot be read, and the result beside it was made with it/,
  );
});

it('what is damaged is not converted, where no linear tells either', async () => {
  const { directory } = await finish(exampleModel, { ...run, ...grid, compensation: 'position' });
  const { tensors } = await Checkpoint.open(directory);
  const { file, offset } = tensors.get('model.decoder.embed_tokens.weight') as TensorInfo;
  const output = join(await temporaryFolder(), 'converted');
  const convert = () => exportResult(directory, { format: 'compressed-tensors', output });
  await flip(file, offset);
  await expect(convert()).rejects.toMatchObject(differs(file));
  await flip(file, offset);
  const biases = join(directory, 'ballast-position-biases.safetensors');
  await flip(biases, (await readFile(biases)).length - 1);
  await expect(convert()).rejects.toMatchObject(differs(biases));
  await expect(readdir(output)).rejects.toMatchObject({ code: 'ENOENT' });
});

it('a file’s digest leaves out the weights that linears’ digests tell, and no others', async () => {
  const { directory } = await finish(exampleModel, run);
  const record = await recordOf(directory);
  const { config, tensors } = await Checkpoint.open(directory);
  const file = join(directory, 'model.safetensors');
  const hash = createHash('sha256');
  const bytes = await readFile(file);
  const isHeld = (name: string) => /layers.*(proj|fc1|fc2)\.weight$/.test(name);
  const held = [...tensors.values()].filter(({ name }) => isHeld(name));
  expect(held.length).toBe(24);
  let from = 0;
  for (const { offset, bytes: length } of held) {
    hash.update(bytes.subarray(from, offset));
    from = offset + length;
  }
  hash.update(bytes.subarray(from));
  expect(record.files?.['model.safetensors']).toBe(hash.digest('hex'));

  const model = readBlockModel(config, new Set(tensors.keys()));
  await flip(file, held[0]?.offset ?? Number.NaN);
  expect(await verifyFiles(directory, { record, model })).toBe(2);
});

it('a converted result has digests of its own files, what clients alone read included', async () => {
  const { directory } = await finish(exampleModel, { ...run, ...grid, bits: 4 });
  const output = join(await temporaryFolder(), 'converted');
  await exportResult(directory, { format: 'compressed-tensors', output });
  expect(await verify(output)).toMatchObject({ linears: 24, files: 1 });
  const { tensors } = await Checkpoint.open(output);
  const file = join(output, 'model.safetensors');
  for (const name of ['embed_tokens.weight', 'layers.0.fc1.weight_shape']) {
    const offset = tensors.get(`model.decoder.${name}`)?.offset ?? Number.NaN;
    expect(await flipped(file, offset, output), name).toMatchObject(differs(file));
  }
});

it('an earlier version’s result is verified as before, and a record may name no file elsewhere', async () => {
  const { directory } = await finish(exampleModel, run);
  const path = join(directory, 'ballast-export.json');
  const { files, ...earlier } = await recordOf(directory);
  expect(Object.keys(files ?? {})).toEqual(['ballast-grid/grid.safetensors', 'model.safetensors']);
  await writeFile(path, JSON.stringify(earlier));
  const linears = 24;
  expect(await verify(directory)).toEqual({ result: directory, format: 'huggingface', linears });
  for (const odd of [{ '../model': 'a' }, { '/etc/hosts': 'a' }, { 'a/../../b': 'a' }, { a: 1 }]) {
    await writeFile(path, JSON.stringify({ ...earlier, files: odd }));
    await expect(verify(directory)).rejects.toThrow(/no digests of files that lie beside it/);
  }
});

it('a file of several pieces is compared to its last byte, and left at a signal', async () => {
  const output = await OutputDirectory.create(join(await temporaryFolder(), 'result'));
  const file = join(output.path, 'model.gguf');
  const bytes = 2_500_000;
  await writeFile(file, randomBytes(bytes));
  await output.writeJson('ballast-export.json', { format: 'gguf', grid: {}, blocks: [] });
  const { config, tensors } = await Checkpoint.open(exampleModel);
  const model = readBlockModel(config, new Set(tensors.keys()));
  await recordFiles(output, model);
  const record = await recordOf(output.path);
  const compare = (onPiece = () => {}) => verifyFiles(output.path, { record, model }, onPiece);
  let pieces = 0;
  expect(await compare(() => pieces++)).toBe(1);
  expect(pieces).toBe(3);
  for (const position of [0, 1_500_000, bytes - 1]) {
    await flip(file, position);
    await expect(compare()).rejects.toMatchObject(differs(file));
    await flip(file, position);
  }
  const stop = () => {
    throw aborted('The work');
  };
  await expect(compare(stop)).rejects.toMatchObject({ code: 'ERR_ABORTED' });
});

it('an export is left at a signal after its last block, and nothing of it stays', async () => {
  const { directory } = await finish(exampleModel, { ...run, ...grid, bits: 4 });
  const parent = await temporaryFolder();
  const stop = new AbortController();
  const onProgress = ({ done, total }: { done: number; total: number }) => {
    if (done === total) stop.abort();
  };
  const options = { format: 'gptq', output: join(parent, 'out'), onProgress, signal: stop.signal };
  await expect(exportResult(directory, options)).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  expect(await readdir(parent)).toEqual([]);
});
