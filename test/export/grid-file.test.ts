// Dequantized results tell the codes they were made of: converted to a packed format they hold what a run would have
// written there at once.

import { readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { Device } from '../../lib/device/index.js';
import type { Grid } from '../../lib/export/format.js';
import { exportResult } from '../../lib/index.js';

import { finish } from '../pipeline/runs.js';
import { exampleModel, temporaryFolder } from '../places.js';
import type { ScaleDtype } from './half-precision.js';
import { baseGrid, exportRandom, randomLlama, superGrid, superSizes } from './random-llama.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

/** The bytes of every tensor whose name ends so. */
async function tensorsOf(directory: string, suffix: string): Promise<Map<string, Buffer>> {
  const { tensors } = await Checkpoint.open(directory);
  const wanted = [...tensors.values()].filter(({ name }) => name.endsWith(suffix));
  return new Map(
    wanted.map(({ name, file, offset, bytes }) => [
      name,
      readFileSync(file).subarray(offset, offset + bytes),
    ]),
  );
}

const target = async () => join(await temporaryFolder(), 'converted');

const cases: [ScaleDtype, Partial<Grid>][] = [
  ...[2, 3, 4, 5, 6, 7, 8].map((bits): [ScaleDtype, Partial<Grid>] => ['float16', { bits }]),
  ['float32', { bits: 8, groupSize: 0, scaleDtype: 'float32' }],
  ['float16', { bits: 8, symmetric: true, scaleDtype: 'bfloat16' }],
  ['bfloat16', { bits: 4 }],
  ['bfloat16', { bits: 6, symmetric: true, groupSize: 16 }],
];

describe.each(cases)('%s weights, %j', (dtype, changes) => {
  it('tell their codes', async () => {
    const grid = { ...baseGrid, ...changes };
    const source = await randomLlama({}, dtype);
    const plain = await exportRandom(device, source, 'huggingface', grid);
    const packed = await exportRandom(device, source, 'compressed-tensors', grid);
    const output = await target();
    await exportResult(plain.directory, { format: 'compressed-tensors', output });
    for (const suffix of ['_packed', '_scale', '_zero_point', '.bias']) {
      const expected = await tensorsOf(packed.directory, suffix);
      expect(expected.size > 0 || grid.symmetric).toBe(true);
      expect(await tensorsOf(output, suffix)).toEqual(expected);
    }
  });
});

it.each([2, 3, 4, 5, 6])('super-blocks of %i bits are those of a GGUF file', async (bits) => {
  const source = await randomLlama(superSizes, 'bfloat16');
  const plain = await exportRandom(device, source, 'huggingface', superGrid(bits));
  const packed = await exportRandom(device, source, 'gguf', superGrid(bits));
  const output = await target();
  await exportResult(plain.directory, { format: 'gguf', output });
  const file = (directory: string) => readFileSync(join(directory, 'model.gguf'));
  expect(file(output).equals(file(packed.directory))).toBe(true);
});

it('bfloat16 weights of 8 bits, where two codes may have one value, give the same weights', async () => {
  const source = await randomLlama({}, 'bfloat16');
  const grid = { ...baseGrid, bits: 8, groupSize: 0 };
  const { directory } = await exportRandom(device, source, 'huggingface', grid);
  const output = await target();
  // Written and read back: the digests of the weights are compared.
  await expect(exportResult(directory, { format: 'gptq', output })).resolves.toMatchObject({
    linears: 14,
  });
});

it('the groups of an act-order run are kept', async () => {
  const { directory } = await randomLlama();
  const grid = { bits: 4, groupSize: 32, symmetric: true, scaleDtype: 'float16' as const };
  const run = {
    ...grid,
    method: 'gptq',
    actOrder: true,
    samples: 4,
    sequenceLength: 32,
    heldOut: 0,
  };
  const plain = await finish(directory, run);
  const packed = await finish(directory, { ...run, format: 'gptq' });
  const output = await target();
  await exportResult(plain.directory, { format: 'gptq', output });
  for (const suffix of ['.qweight', '.g_idx', '.scales']) {
    const expected = await tensorsOf(packed.directory, suffix);
    expect(expected.size).toBe(14);
    expect(await tensorsOf(output, suffix)).toEqual(expected);
  }
});

it('lies where no client takes it for weights, and without it a conversion is refused', async () => {
  const options = { bits: 4, samples: 4, sequenceLength: 64, scaleDtype: 'float16' as const };
  const { directory } = await finish(exampleModel, options);
  expect((await readdir(directory)).filter((name) => name.endsWith('.safetensors'))).toEqual([
    'model.safetensors',
  ]);
  await exportResult(directory, { format: 'compressed-tensors', output: await target() });
  await rm(join(directory, 'ballast-grid'), { recursive: true });
  const refused = exportResult(directory, { format: 'compressed-tensors', output: await target() });
  await expect(refused).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED',
    message: expect.stringMatching(/tells the codes of .*q_proj.* ballast-grid is not beside them/),
  });
});

it('a grid that the target cannot hold is refused with what to do', async () => {
  const { directory } = await exportRandom(device, await randomLlama(), 'huggingface', {
    ...baseGrid,
    scaleDtype: 'float32',
  });
  await expect(
    exportResult(directory, { format: 'gptq', output: await target() }),
  ).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED',
    message:
      'Expected float16 for scaleDtype with format gptq but received float32; this grid was made for another format: ' +
      'quantize again with format gptq.',
  });
});
