import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { type HubProgress, resolveModel } from '../../lib/checkpoint/hub/hub.js';
import { temporaryFolder } from '../places.js';
import { modelDirectory, vectorFile } from './files.js';
import { commit, startHub } from './hub-server.js';

const model = 'maker/small';
const files = {
  'config.json': Buffer.from('{"model_type": "opt"}'),
  'model.safetensors': vectorFile(
    'w',
    Array.from({ length: 50_000 }, (_, i) => i),
  ),
  'tokenizer.json': Buffer.from('{}'),
  'README.md': Buffer.from('card'),
  'pytorch_model.bin': Buffer.from('pickle'),
  'model.fp16.safetensors': vectorFile('w', [1]),
};

describe('resolveModel', () => {
  it('takes a directory as it is', async () => {
    const directory = await modelDirectory({});
    expect(await resolveModel(directory)).toBe(directory);
  });

  it('fetches what a model needs, once, with progress', async () => {
    const { endpoint, requests, stop } = await startHub({ model, files });
    const cacheDirectory = await temporaryFolder();
    const progress: HubProgress[] = [];
    const options = { endpoint, cacheDirectory, onProgress: (p: HubProgress) => progress.push(p) };
    const path = await resolveModel(`${model}@v1/x`, options);

    expect(path).toBe(join(cacheDirectory, 'models--maker--small', 'snapshots', commit));
    const needed = ['config.json', 'model.safetensors', 'tokenizer.json'] as const;
    expect((await readdir(path)).sort()).toEqual(needed);
    for (const name of needed) expect(await readFile(join(path, name))).toEqual(files[name]);
    expect((await Checkpoint.open(path)).tensor('w').shape).toEqual([50_000]);
    expect(requests).toContain(`GET /api/models/${model}/revision/v1%2Fx`);
    const totalBytes = needed.reduce((sum, name) => sum + files[name].length, 0);
    expect(progress.at(-1)).toEqual({
      file: 'tokenizer.json',
      loadedBytes: totalBytes,
      totalBytes,
    });
    expect(progress.length).toBeGreaterThan(needed.length);

    // Everything is in the cache now: only the two listings are asked for again, and without a hub, nothing.
    const before = requests.length;
    expect(await resolveModel(`${model}@v1/x`, options)).toBe(path);
    expect(requests.slice(before).every((request) => request.includes('/api/'))).toBe(true);
    await stop();
    expect(await resolveModel(`${model}@v1/x`, options)).toBe(path);
    await expect(resolveModel(`${model}@v2`, options)).rejects.toMatchObject({ code: 'ERR_IO' });
  });

  it('fetches shards and their index where there is no single file', async () => {
    const index = { metadata: {}, weight_map: { w: 'model-00001-of-00001.safetensors' } };
    const sharded = {
      'config.json': files['config.json'],
      'model-00001-of-00001.safetensors': vectorFile('w', [1]),
      'model.safetensors.index.json': Buffer.from(JSON.stringify(index)),
    };
    const { endpoint } = await startHub({ model, files: sharded });
    const path = await resolveModel(model, {
      endpoint,
      cacheDirectory: await temporaryFolder(),
    });
    expect([...(await Checkpoint.open(path)).tensors.keys()]).toEqual(['w']);
  });

  it('sends the token, and explains a refusal', async () => {
    const { endpoint } = await startHub({ model, files, token: 'hf_secret' });
    const options = { endpoint, cacheDirectory: await temporaryFolder() };
    const refused = await resolveModel(model, { ...options, token: 'hf_wrong' }).catch((e) => e);
    expect(refused).toMatchObject({ code: 'ERR_IO' });
    expect(refused.message).toMatch(/maker\/small@main .*status 401.*pass a token/);
    expect(refused.message).not.toContain('hf_wrong');
    await resolveModel(model, { ...options, token: 'hf_secret' });
  });

  it('keeps nothing of a damaged or broken download', async () => {
    const cacheDirectory = await temporaryFolder();
    const damage = [
      (bytes: Buffer) => Buffer.from(bytes).fill(7, 9, 10),
      (bytes: Buffer) => bytes.subarray(0, bytes.length - 1),
    ];
    for (const change of damage) {
      const corrupt = (name: string, bytes: Buffer) =>
        name === 'model.safetensors' ? change(bytes) : bytes;
      const { endpoint } = await startHub({ model, files, corrupt });
      await expect(resolveModel(model, { endpoint, cacheDirectory })).rejects.toMatchObject({
        code: 'ERR_IO',
        message: expect.stringContaining('model.safetensors is damaged'),
      });
    }
    const blobs = await readdir(join(cacheDirectory, 'models--maker--small', 'blobs'));
    expect(blobs).toHaveLength(1);
    expect(blobs[0]).toMatch(/^[0-9a-f]{40}$/);
  });

  it('stops when aborted', async () => {
    const { endpoint } = await startHub({ model, files });
    const controller = new AbortController();
    const cacheDirectory = await temporaryFolder();
    const options = {
      endpoint,
      cacheDirectory,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    };
    await expect(resolveModel(model, options)).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    await expect(resolveModel(model, options)).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  });

  it('says when a repository has no safetensors', async () => {
    const pickled = { 'config.json': Buffer.from('{}'), 'pytorch_model.bin': Buffer.from('') };
    const { endpoint } = await startHub({ model, files: pickled });
    const options = { endpoint, cacheDirectory: await temporaryFolder() };
    await expect(resolveModel(model, options)).rejects.toMatchObject({
      code: 'ERR_CHECKPOINT',
      message: expect.stringContaining('only pytorch_model files'),
    });
  });

  it.each(['opt', './gone/model', '/gone', 'a/b/c', 'maker/small@../x', ''])(
    'refuses %j, neither a directory nor an id',
    async (name) => {
      await expect(resolveModel(name)).rejects.toMatchObject({
        code: 'ERR_ARGUMENT',
        message: expect.stringContaining('Expected an existing model directory or a hub id'),
      });
    },
  );

  it('mentions both when the hub cannot be reached', async () => {
    const { endpoint, stop } = await startHub({ model, files });
    await stop();
    const options = { endpoint, cacheDirectory: await temporaryFolder() };
    await expect(resolveModel('no/where', options)).rejects.toThrow(
      /no directory no\/where, and http:.* cannot be asked .*ECONNREFUSED/,
    );
  });
});
