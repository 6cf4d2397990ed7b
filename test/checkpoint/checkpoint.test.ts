import { existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { temporaryFolder } from '../places.js';
import { modelDirectory, vectorFile } from './files.js';

const index = (map: Record<string, unknown>) => JSON.stringify({ metadata: {}, weight_map: map });
const shards = {
  '1.safetensors': vectorFile('a', [1]),
  '2.safetensors': vectorFile('b', [2, 3]),
};
const indexName = 'model.safetensors.index.json';

describe('Checkpoint', () => {
  it('opens a single file', async () => {
    const directory = await modelDirectory({ 'model.safetensors': vectorFile('w', [1, 2]) });
    const checkpoint = await Checkpoint.open(directory);
    expect(checkpoint.tensor('w')).toMatchObject({
      shape: [2],
      file: join(directory, 'model.safetensors'),
    });
    expect(checkpoint.config).toEqual({});
    expect(() => checkpoint.tensor('v')).toThrow(/tensor 'v'/);
  });

  it('opens shards through their index', async () => {
    const map = { a: '1.safetensors', b: '2.safetensors' };
    const directory = await modelDirectory({ ...shards, [indexName]: index(map) });
    const { tensors } = await Checkpoint.open(directory);
    expect([...tensors.values()].map(({ name, shape }) => [name, shape])).toEqual([
      ['a', [1]],
      ['b', [2]],
    ]);
  });

  const wrong: [string, Record<string, Buffer | string>, RegExp][] = [
    [
      'a missing shard',
      { ...shards, [indexName]: index({ a: '1.safetensors', b: '3.safetensors' }) },
      /Shard 3.safetensors \(with tensor 'b'\) is missing/,
    ],
    [
      'a tensor listed but absent',
      { ...shards, [indexName]: index({ a: '1.safetensors', c: '2.safetensors' }) },
      /'c' is listed in 2.safetensors but lies in no shard/,
    ],
    [
      'a tensor in another shard than listed',
      { ...shards, [indexName]: index({ a: '2.safetensors', b: '1.safetensors' }) },
      /'a' is listed in 2.safetensors but lies in 1.safetensors/,
    ],
    [
      'a tensor in two shards',
      {
        '1.safetensors': vectorFile('a', [1]),
        '2.safetensors': vectorFile('a', [1]),
        [indexName]: index({ a: '1.safetensors', b: '2.safetensors' }),
      },
      /'a' is in both 1.safetensors and 2.safetensors/,
    ],
    [
      'an index that points outside',
      { [indexName]: index({ a: '../other/1.safetensors' }) },
      /not a file name/,
    ],
    ['an index without a map', { [indexName]: '{}' }, /weight_map is missing or empty/],
    ['an index that is no JSON', { [indexName]: '{' }, /Expected JSON/],
    [
      'pickled weights',
      { 'pytorch_model.bin': '' },
      /only pytorch_model.bin.*convert it to safetensors/,
    ],
    [
      'an adapter, whose own form is safetensors',
      { 'adapter_model.safetensors': vectorFile('a', [1]), 'old.bin': '' },
      /only adapter_model.safetensors, which only changes another model; merge/,
    ],
    ['weights of llama.cpp', { 'model-q4.gguf': '' }, /only model-q4.gguf, .* pass the checkpoint/],
    [
      'tensors under names of their own',
      { 'consolidated.safetensors': vectorFile('a', [1]) },
      /only consolidated.safetensors, .*save_pretrained/,
    ],
    ['no weights', {}, /neither model.safetensors nor/],
    ['a config that is no JSON', { 'config.json': 'x' }, /Expected JSON.*config.json/],
  ];

  it.each(wrong)('refuses %s', async (_, files, message) => {
    const error = await Checkpoint.open(await modelDirectory(files)).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'ERR_CHECKPOINT' });
    expect(error.message).toMatch(message);
  });

  it('refuses a directory without config, a file, and a missing path', async () => {
    const directory = await temporaryFolder();
    await expect(Checkpoint.open(directory)).rejects.toThrow(/config.json but .* has none/);
    await writeFile(join(directory, 'file'), '');
    await expect(Checkpoint.open(join(directory, 'file'))).rejects.toThrow(/is a file/);
    await expect(Checkpoint.open(join(directory, 'gone'))).rejects.toMatchObject({
      code: 'ERR_IO',
    });
  });

  it('fingerprints contents, not names or shards', async () => {
    const fingerprint = async (files: Record<string, Buffer | string>) =>
      (await Checkpoint.open(await modelDirectory(files))).fingerprint();
    const one = await fingerprint({ 'model.safetensors': vectorFile('w', [1, 2]) });
    expect(one).toMatch(/^[0-9a-f]{64}$/);
    const sharded = {
      'x.safetensors': vectorFile('w', [1, 2]),
      [indexName]: index({ w: 'x.safetensors' }),
    };
    expect(await fingerprint(sharded)).toBe(one);
    expect(await fingerprint({ 'model.safetensors': vectorFile('w', [1, 3]) })).not.toBe(one);
    expect(await fingerprint({ 'model.safetensors': vectorFile('v', [1, 2]) })).not.toBe(one);
  });

  const real = '../shared/models/opt-7m';
  it.skipIf(!existsSync(real))('opens a trained model', async () => {
    const checkpoint = await Checkpoint.open(real);
    expect(checkpoint.config.model_type).toBe('opt');
    expect(checkpoint.tensor('model.decoder.layers.0.self_attn.q_proj.weight')).toMatchObject({
      dtype: 'float16',
      shape: [256, 256],
    });
  });

  it('says when a shard vanishes before the fingerprint', async () => {
    const directory = await modelDirectory({ 'model.safetensors': vectorFile('w', [1]) });
    const checkpoint = await Checkpoint.open(directory);
    await rename(join(directory, 'model.safetensors'), join(directory, 'moved'));
    await expect(checkpoint.fingerprint()).rejects.toMatchObject({ code: 'ERR_IO' });
  });
});
