// Images from folders, lists and tensor files: what a model gets to see, and one clear error for each thing that can be
// wrong with them.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openImages } from '../../lib/images/index.js';
import type { VisionModel } from '../../lib/models/index.js';
import { readVisionModel } from '../../lib/models/index.js';
import { writeTensors } from './fixtures.js';

const side = 8;
const model: VisionModel = readVisionModel(
  {
    model_type: 'vit',
    image_size: side,
    patch_size: 4,
    hidden_size: 6,
    intermediate_size: 6,
    num_attention_heads: 1,
    num_hidden_layers: 1,
    id2label: { 0: 'bee', 1: 'ant' },
  },
  new Set(),
);
const half = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] };

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ballast-images-'));
  configure({ ...half, size: { height: side, width: side } });
});
afterEach(() => rmSync(root, { recursive: true }));

const configure = (config: object) =>
  writeFileSync(join(root, 'preprocessor_config.json'), JSON.stringify(config));
const open = (name: string) => openImages(join(root, name), root, model);

async function draw(path: string, background: string, width = side, height = side): Promise<void> {
  mkdirSync(join(root, path, '..'), { recursive: true });
  const create = { width, height, channels: 3, background } as const;
  await sharp({ create }).png().toFile(join(root, path));
}

describe('folders', () => {
  test('classes by the names in config.json; pixels are planes of normalized channels', async () => {
    await draw('set/ant/a.png', '#ff0000');
    await draw('set/bee/b.png', '#00ff00', 3 * side, 2 * side);
    const set = await open('set');
    expect([...set.labels]).toEqual([1, 0]);
    const pixels = await set.pixels([0, 1]);
    const plane = (image: number, channel: number) =>
      new Set(pixels.slice((image * 3 + channel) * side * side).slice(0, side * side));
    expect([0, 1, 2].map((channel) => [...plane(0, channel)])).toEqual([[1], [-1], [-1]]);
    expect([0, 1, 2].map((channel) => [...plane(1, channel)])).toEqual([[-1], [1], [-1]]);
  });

  test('other names count in their order; grey and transparent images become RGB', async () => {
    await draw('set/n01/a.png', '#ffffff');
    await draw('set/n02/b.png', '#000000');
    const clear = { width: side, height: side, channels: 4, background: '#ffffff80' } as const;
    await sharp({ create: clear }).png().toFile(join(root, 'set/n01/c.png'));
    await sharp(join(root, 'set/n02/b.png')).greyscale().toFile(join(root, 'set/n02/d.png'));
    const set = await open('set');
    expect([...set.labels]).toEqual([0, 0, 1, 1]);
    const pixels = await set.pixels([0, 1, 2, 3]);
    expect(new Set(pixels.slice(0, pixels.length / 2))).toEqual(new Set([1]));
    expect(new Set(pixels.slice(pixels.length / 2))).toEqual(new Set([-1]));
  });

  test('the shorter side is resized and the middle cut out', async () => {
    configure({ ...half, size: { shortest_edge: side }, do_center_crop: true, crop_size: side });
    mkdirSync(join(root, 'set/ant'), { recursive: true });
    // Left and right quarters black, the middle white.
    const data = new Uint8Array(32 * 16 * 3).map((_, i) => {
      const x = Math.floor(i / 3) % 32;
      return x >= 8 && x < 24 ? 255 : 0;
    });
    const raw = { width: 32, height: 16, channels: 3 } as const;
    await sharp(data, { raw }).png().toFile(join(root, 'set/ant/a.png'));
    const pixels = await (await open('set')).pixels([0]);
    const middle = Array.from(pixels.slice(0, side * side)).filter(
      (_, i) => i % side > 0 && i % side < side - 1,
    );
    expect(Math.min(...middle)).toBeGreaterThan(0.9);
  });

  test('a list of files', async () => {
    await draw('a.png', '#ffffff');
    writeFileSync(join(root, 'list.tsv'), 'a.png\tant\n\na.png\t0\n');
    expect([...(await open('list.tsv')).labels]).toEqual([1, 0]);
  });
});

describe('what is wrong with a set is one sentence', () => {
  const images = {
    dtype: 'U8',
    shape: [2, side, side, 3],
    data: new Uint8Array(2 * side * side * 3),
  } as const;
  const labels = { dtype: 'I64', shape: [2], data: BigInt64Array.of(0n, 1n) } as const;
  const tensors: [string, Parameters<typeof writeTensors>[1], RegExp][] = [
    ['no images', { labels }, /tensor 'images', uint8 of 4 axes, .*none of that name/],
    ['no labels', { images }, /tensor 'labels', int64 of 1 axis, .*none/],
    [
      'one channel',
      { images: { ...images, shape: [6, side, side, 1] }, labels },
      /3 channels as the model reads .*received 1\./,
    ],
    [
      'images of floats',
      { images: { ...images, dtype: 'F32', shape: [2, side, 2, 3] }, labels },
      /received float32 \[2, 8, 2, 3\]/,
    ],
    [
      'too few labels',
      { images, labels: { ...labels, shape: [1], data: BigInt64Array.of(0n) } },
      /a label for each of 2 images/,
    ],
    [
      'a label of no class',
      { images, labels: { ...labels, data: BigInt64Array.of(0n, 2n) } },
      /labels from 0 to 1, .*received 2\./,
    ],
  ];
  test.each(tensors)('%s', async (_, content, message) => {
    writeTensors(join(root, 'set.safetensors'), content);
    await expect(open('set.safetensors')).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_DATA', message: expect.stringMatching(message) }),
    );
  });

  test('a corrupt image names its file', async () => {
    await draw('set/ant/a.png', '#ffffff');
    writeFileSync(join(root, 'set/ant/b.png'), 'no image');
    const set = await open('set');
    await expect(set.pixels([1])).rejects.toThrow(
      /Expected an image in .*b\.png but it cannot be read/,
    );
  });

  test('an empty class, no class, unknown classes', async () => {
    await draw('set/ant/a.png', '#ffffff');
    mkdirSync(join(root, 'set/bee'));
    await expect(open('set')).rejects.toThrow(
      /images in the folder of class 'bee' in .*it has none/,
    );
    await expect(open('set/ant')).rejects.toThrow(/a folder for each class/);
    await draw('set/bee/a.png', '#ffffff');
    await draw('set/cow/a.png', '#ffffff');
    await expect(open('set')).rejects.toThrow(/Expected 2 class folders in .*received 3 others/);
    writeFileSync(join(root, 'list.tsv'), 'a.png\tcow\n');
    await expect(open('list.tsv')).rejects.toThrow(
      /a class of the model on line 1 of .*a\.png\\tcow/,
    );
    await expect(open('nowhere')).rejects.toThrow(expect.objectContaining({ code: 'ERR_IO' }));
  });

  test.each<[string, object, RegExp]>([
    ['another size', { size: { height: 4, width: 4 } }, /8 × 8 as config\.json says for size/],
    ['no size', {}, /height and width for size .*received undefined/],
    ['a wrong mean', { size: side, image_mean: [1] }, /3 numbers for image_mean .*received \[1\]/],
    ['a deviation of zero', { size: side, image_std: [0, 1, 1] }, /numbers above 0 for image_std/],
    ['an edge without a crop', { size: { shortest_edge: side } }, /a size for crop_size/],
    ['an unknown filter', { size: side, resample: 9 }, /a filter from 0 to 3 for resample/],
  ])('preprocessing: %s', async (_, config, message) => {
    configure(config);
    writeTensors(join(root, 'set.safetensors'), { images, labels });
    await expect(open('set.safetensors')).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_CHECKPOINT', message: expect.stringMatching(message) }),
    );
  });
});
