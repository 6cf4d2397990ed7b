// What verification says of a result's files: those that hold no linear too, in every place where a byte may change.

import { randomBytes } from 'node:crypto';
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { OutputDirectory } from '../../lib/checkpoint/output-directory.js';
import { aborted } from '../../lib/errors.js';
import { recordFiles, verifyFiles } from '../../lib/export/file-digests.js';
import { exportResult, verify } from '../../lib/index.js';
import { temporaryDirectory } from '../checkpoint/files.js';
import { exampleModel, finish } from '../pipeline/runs.js';

/** As small as a run can be. */
const run = { method: 'rtn', samples: 2, sequenceLength: 32, heldOut: 0 };
const grid = { groupSize: 32, symmetric: true, scaleDtype: 'float16' } as const;

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

it('a changed byte of an embedding, a norm, a bias per position or the grid is found', async () => {
  const { directory } = await finish(exampleModel, { ...run, ...grid, compensation: 'position' });
  const whole = { result: directory, format: 'huggingface', linears: 24, files: 3 };
  expect(await verify(directory)).toEqual(whole);

  const { tensors } = await Checkpoint.open(directory);
  const weights = join(directory, 'model.safetensors');
  for (const name of ['embed_tokens', 'embed_positions', 'final_layer_norm']) {
    const offset = tensors.get(`model.decoder.${name}.weight`)?.offset ?? Number.NaN;
    expect(await flipped(weights, offset, directory), name).toMatchObject(differs(weights));
  }
  for (const name of ['ballast-position-biases.safetensors', 'ballast-grid/grid.safetensors']) {
    const path = join(directory, name);
    const last = (await readFile(path)).length - 1;
    expect(await flipped(path, last, directory), name).toMatchObject(differs(path));
  }
  // People edit settings and tokenizers, and may delete the grid.
  await writeFile(join(directory, 'generation_config.json'), '{}');
  await rm(join(directory, 'ballast-grid'), { recursive: true });
  expect(await verify(directory)).toEqual({ ...whole, files: 2 });
  await rm(join(directory, 'ballast-position-biases.safetensors'));
  await expect(verify(directory)).rejects.toThrow(
    /ballast-position-biases.safetensors is not there/,
  );
});

it('a converted result has digests of its own files', async () => {
  const { directory } = await finish(exampleModel, { ...run, ...grid, bits: 4 });
  const output = join(await temporaryDirectory(), 'converted');
  await exportResult(directory, { format: 'compressed-tensors', output });
  expect(await verify(output)).toMatchObject({ linears: 24, files: 1 });
  const { tensors } = await Checkpoint.open(output);
  const offset = tensors.get('model.decoder.embed_tokens.weight')?.offset ?? Number.NaN;
  const file = join(output, 'model.safetensors');
  expect(await flipped(file, offset, output)).toMatchObject(differs(file));
});

it('an earlier version’s result is verified as before, and a record may name no file elsewhere', async () => {
  const { directory } = await finish(exampleModel, run);
  const path = join(directory, 'ballast-export.json');
  const { files, ...earlier } = JSON.parse(await readFile(path, 'utf8'));
  expect(Object.keys(files)).toEqual(['ballast-grid/grid.safetensors', 'model.safetensors']);
  await writeFile(path, JSON.stringify(earlier));
  const linears = 24;
  expect(await verify(directory)).toEqual({ result: directory, format: 'huggingface', linears });
  for (const odd of [{ '../model': 'a' }, { '/etc/hosts': 'a' }, { 'a/../../b': 'a' }, { a: 1 }]) {
    await writeFile(path, JSON.stringify({ ...earlier, files: odd }));
    await expect(verify(directory)).rejects.toThrow(/no digests of files that lie beside it/);
  }
});

it('a file of several pieces is compared to its last byte, and left at a signal', async () => {
  const output = await OutputDirectory.create(join(await temporaryDirectory(), 'result'));
  const file = join(output.path, 'model.gguf');
  const bytes = 40_000_000;
  await writeFile(file, randomBytes(bytes));
  await output.writeJson('ballast-export.json', { format: 'gguf', grid: {}, blocks: [] });
  await recordFiles(output);
  const { files } = JSON.parse(await readFile(join(output.path, 'ballast-export.json'), 'utf8'));
  const compare = (onPiece = () => {}) => verifyFiles(output.path, files, onPiece);
  let pieces = 0;
  expect(await compare(() => pieces++)).toBe(1);
  expect(pieces).toBe(3);
  for (const position of [0, 20_000_000, bytes - 1]) {
    await flip(file, position);
    await expect(compare()).rejects.toMatchObject(differs(file));
    await flip(file, position);
  }
  const stop = () => {
    throw aborted('The work');
  };
  await expect(compare(stop)).rejects.toMatchObject({ code: 'ERR_ABORTED' });
});
