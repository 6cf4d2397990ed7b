import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { SafetensorsWriter } from '../../lib/checkpoint/output/safetensors-writer.js';
import type { PlannedTensor } from '../../lib/checkpoint/output/shard-plan.js';
import { readHeader } from '../../lib/checkpoint/safetensors-header.js';
import { temporaryFolder } from '../places.js';
import { modelDirectory } from './files.js';

const plan: PlannedTensor[] = [
  { name: 'half', dtype: 'float16', shape: [3] },
  { name: 'full', dtype: 'float32', shape: [2, 2] },
  { name: 'byte', dtype: 'uint8', shape: [5] },
];
const contents = new Map(
  plan.map(({ name }, i) => [name, Buffer.alloc([6, 16, 5][i] ?? 0, i + 1)] as const),
);

async function writeAll(directory: string, maxShardBytes?: number) {
  const options = maxShardBytes === undefined ? {} : { maxShardBytes };
  const writer = await SafetensorsWriter.create(directory, plan, options);
  const reversed = [...contents].reverse();
  await Promise.all(reversed.map(([name, bytes]) => writer.write(name, bytes)));
  await writer.close();
}

async function readBack(directory: string) {
  const { tensors } = await Checkpoint.open(directory);
  const read = [...tensors.values()].map(async ({ name, file, offset, bytes }) => {
    return [name, (await readFile(file)).subarray(offset, offset + bytes)] as const;
  });
  return new Map(await Promise.all(read));
}

describe('SafetensorsWriter', () => {
  it('writes one file, whatever the order of writes', async () => {
    const directory = await modelDirectory({});
    await writeAll(directory);
    expect(await readBack(directory)).toEqual(
      new Map(['full', 'half', 'byte'].map((name) => [name, contents.get(name)])),
    );
    expect((await readdir(directory)).sort()).toEqual(['config.json', 'model.safetensors']);
    const bytes = await readFile(join(directory, 'model.safetensors'));
    expect(bytes.readBigUInt64LE() % 8n).toBe(0n);
    const { metadata, tensors } = await readHeader(join(directory, 'model.safetensors'));
    expect(metadata).toEqual({ format: 'pt' });
    for (const { offset, dtype } of tensors.values()) {
      expect(offset % { float32: 4, float16: 2, uint8: 1 }[dtype as 'uint8']).toBe(0);
    }
  });

  it('writes a tensor in parts, in any order, and knows it by its own name', async () => {
    const directory = await modelDirectory({});
    const parts = ['first', 'second', 'third'];
    const whole: PlannedTensor = { name: 'whole', dtype: 'float16', shape: [3, 2], parts };
    const options = { maxShardBytes: 12 };
    const writer = await SafetensorsWriter.create(directory, [whole, ...plan], options);
    for (const [i, name] of [...parts.entries()].reverse()) {
      await writer.write(name, Buffer.alloc(4, 9 - i));
    }
    await expect(writer.write('whole', Buffer.alloc(12))).rejects.toThrow("received 'whole'");
    for (const [name, bytes] of contents) await writer.write(name, bytes);
    await writer.close();
    const read = await readBack(directory);
    expect([...read.keys()].sort()).toEqual(['byte', 'full', 'half', 'whole']);
    expect(read.get('whole')).toEqual(Buffer.from([9, 9, 9, 9, 8, 8, 8, 8, 7, 7, 7, 7]));
    const { tensors } = await Checkpoint.open(directory);
    expect(tensors.get('whole')).toMatchObject({ dtype: 'float16', shape: [3, 2] });
  });

  it('shards by size, with an index', async () => {
    const directory = await modelDirectory({});
    await writeAll(directory, 22);
    expect((await readdir(directory)).sort()).toEqual([
      'config.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
    ]);
    const index = JSON.parse(
      await readFile(join(directory, 'model.safetensors.index.json'), 'utf8'),
    );
    expect(index).toEqual({
      metadata: { total_size: 27 },
      weight_map: {
        byte: 'model-00002-of-00002.safetensors',
        full: 'model-00001-of-00002.safetensors',
        half: 'model-00001-of-00002.safetensors',
      },
    });
    expect((await readBack(directory)).get('byte')).toEqual(contents.get('byte'));
  });

  it('refuses wrong names, sizes, second writes and an unfinished close', async () => {
    const writer = await SafetensorsWriter.create(await temporaryFolder(), plan);
    await expect(writer.write('other', Buffer.alloc(1))).rejects.toThrow(/received 'other'/);
    await expect(writer.write('half', Buffer.alloc(5))).rejects.toThrow(/6 bytes .* received 5/);
    await writer.write('half', Buffer.alloc(6));
    await expect(writer.write('half', Buffer.alloc(6))).rejects.toThrow(/not yet written/);
    await expect(writer.close()).rejects.toThrow(/'full' and 1 more are not/);
  });

  it('refuses a bad plan', async () => {
    const directory = await temporaryFolder();
    const twice = [...plan, ...plan];
    await expect(SafetensorsWriter.create(directory, twice)).rejects.toThrow(/'half' .* twice/);
    const shape = [{ name: 'a', dtype: 'int8', shape: [1.5] }] as const;
    await expect(SafetensorsWriter.create(directory, shape)).rejects.toMatchObject({
      code: 'ERR_ARGUMENT',
    });
    expect(await readdir(directory)).toEqual([]);
  });

  it('gives one clear error when the disk is full', async () => {
    const directory = await temporaryFolder();
    const writer = await SafetensorsWriter.create(directory, plan);
    const handle = await open(join(directory, 'model.safetensors'));
    const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
    const spy = vi.spyOn(Object.getPrototypeOf(handle), 'write').mockRejectedValueOnce(full);
    const error = await writer.write('full', Buffer.alloc(16)).catch((reason) => reason);
    spy.mockRestore();
    await handle.close();
    expect(error).toMatchObject({ code: 'ERR_IO' });
    expect(error.message).toMatch(/writing tensor 'full' .*the disk is full: free space/);
    await writer.abort();
  });

  it('gives one clear error when the directory is missing', async () => {
    const error = await SafetensorsWriter.create('/nowhere', plan).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'ERR_IO' });
  });
});
