// Blocks one after the other: each is what it is when loaded by itself, its tensors are uploaded while the one before is
// worked on, and nothing that was brought for nobody is kept.

import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { Device, type Tensor } from '../../lib/device/index.js';
import { BlockLoader, type LoadedBlock, loadBlock } from '../../lib/execution/index.js';
import { type BlockModel, readBlockModel } from '../../lib/models/index.js';
import { exampleModel } from '../places.js';

let device: Device;
let checkpoint: Checkpoint;
let model: BlockModel;
beforeAll(async () => {
  device = Device.open('cpu', { threads: 1 });
  checkpoint = await Checkpoint.open(exampleModel);
  model = readBlockModel(checkpoint.config, new Set(checkpoint.tensors.keys()));
});
afterAll(() => device.close());

async function bytesOf({ linears }: LoadedBlock): Promise<ArrayBuffer[]> {
  return Promise.all(Array.from(linears.values(), ({ weight }) => weight.read()));
}

it.each([
  ['in their order', [0, 1, 2, 3]],
  ['in any other', [2, 0, 0, 3, 1]],
])('gives blocks as they are, %s', async (_, order) => {
  using loader = new BlockLoader(device, checkpoint, model);
  for (const index of order) {
    using loaded = await loader.load(index);
    using expected = await loadBlock(device, checkpoint, model, index);
    expect([...loaded.linears.keys()]).toEqual([...expected.linears.keys()]);
    expect(await bytesOf(loaded)).toEqual(await bytesOf(expected));
  }
});

it('uploads a block while the one before is worked on, and each tensor once', async () => {
  const upload = vi.spyOn(device, 'uploadFile');
  const made = () => upload.mock.results.map(({ value }) => value as Tensor);
  using loader = new BlockLoader(device, checkpoint, model);
  const inBlock = (index: number) =>
    [...checkpoint.tensors.keys()].filter((name) => name.startsWith(`${model.blockName(index)}.`));
  let uploaded = inBlock(0).length;
  for (let index = 0; index < model.blocks; index++) {
    using _block = await loader.load(index);
    if (index + 1 < model.blocks) uploaded += inBlock(index + 1).length;
    expect(upload).toHaveBeenCalledTimes(uploaded);
  }
  expect(made().every(({ disposed }) => disposed)).toBe(true);

  using _first = await loader.load(0);
  loader[Symbol.dispose]();
  const ahead = made().slice(-inBlock(1).length);
  expect(ahead.every(({ disposed }) => disposed)).toBe(true);
  vi.restoreAllMocks();
});

it('tells what is wrong with a tensor when its block is loaded', async () => {
  const name = `${model.blockName(1)}.${model.linears[0]?.name}.weight`;
  const tensors = new Map(checkpoint.tensors);
  tensors.set(name, { ...checkpoint.tensor(name), offset: 2 ** 40 });
  const { directory, config } = checkpoint;
  const damaged = Object.assign(Object.create(Checkpoint.prototype), {
    ...{ directory, config, tensors },
  }) as Checkpoint;
  using loader = new BlockLoader(device, damaged, model);
  using _first = await loader.load(0);
  await expect(loader.load(1)).rejects.toMatchObject({ code: 'ERR_IO' });
  using third = await loader.load(2);
  expect(third.linears.size).toBe(model.linears.length);
});
