// Every image classifier against transformers, on tiny random checkpoints in float32.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { Device } from '../../lib/device/index.js';
import { ImageClassifier } from '../../lib/evaluate/image-classifier.js';
import { checkpointModel } from '../../lib/execution/index.js';
import { readModel, readVisionModel, visionArchitectures } from '../../lib/models/index.js';
import { directoryOf, floatsOf, variants } from './fixtures.js';

const tolerance = 1e-4;

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

async function logitsOf(variant: string, fields: object = {}): Promise<number> {
  const checkpoint = await Checkpoint.open(directoryOf(variant));
  const config = { ...checkpoint.config, ...fields };
  const model = readVisionModel(config, new Set(checkpoint.tensors.keys()));
  const stored = checkpointModel(device, checkpoint, model);
  using classifier = await ImageClassifier.load(device, stored, model);
  const golden = `${directoryOf(variant)}/golden.safetensors`;
  const logits = await classifier.logits(await floatsOf(golden, 'pixels'));
  const expected = await floatsOf(golden, 'logits');
  expect(logits.length).toBe(expected.length);
  return Math.max(...logits.map((value, i) => Math.abs(value - (expected[i] ?? Number.NaN))));
}

test('every architecture has a tiny checkpoint', async () => {
  const types = new Set<unknown>();
  for (const variant of variants) {
    types.add((await Checkpoint.open(directoryOf(variant))).config.model_type);
  }
  expect([...types].sort()).toEqual(visionArchitectures.map(({ modelType }) => modelType).sort());
});

test.each(variants)('logits of %s equal those of transformers', async (variant) => {
  expect(await logitsOf(variant)).toBeLessThan(tolerance);
});

describe('what the checkpoints can tell apart', () => {
  test.each<[string, string, object]>([
    ['the activation', 'vit', { hidden_act: 'relu' }],
    ['the epsilon of norms', 'vit-no-qkv-bias-one-channel', { layer_norm_eps: 1e-12 }],
    ['the number of heads', 'deit', { num_attention_heads: 2 }],
    ['the epsilon of norms', 'swin-positions-three-stages', { layer_norm_eps: 1e-5 }],
    ['positions of patches', 'swin-positions-three-stages', { use_absolute_embeddings: false }],
  ])('%s (%s)', async (_, variant, fields) => {
    expect(await logitsOf(variant, fields)).toBeGreaterThan(10 * tolerance);
  });
});

describe('configurations that cannot be', () => {
  const read = (fields: object) => () =>
    readVisionModel({ model_type: 'vit', num_hidden_layers: 1, ...fields }, new Set());
  const sizes = { hidden_size: 24, num_attention_heads: 3, intermediate_size: 40 };
  test.each<[string, object, string]>([
    [
      'patches that do not tile',
      { ...sizes, image_size: 12, patch_size: 5 },
      'patch_size to divide',
    ],
    [
      'heads that do not divide',
      { ...sizes, num_attention_heads: 5 },
      'num_attention_heads to divide',
    ],
    ['an unknown activation', { ...sizes, hidden_act: 'swiglu' }, 'for hidden_act in config.json'],
    ['labels without a first', { ...sizes, id2label: { 1: 'cat' } }, 'id2label'],
  ])('%s', (_, fields, message) => {
    expect(read(fields)).toThrow(message);
  });

  const readSwin = (fields: object) => () =>
    readVisionModel({ model_type: 'swin', image_size: 16, patch_size: 2, ...fields }, new Set());
  const stages = { depths: [2, 2], num_heads: [2, 4], embed_dim: 16, window_size: 4 };
  test.each<[string, object, string]>([
    ['a window that does not tile a stage', { window_size: 3 }, 'stage 0 has 8 tokens a side'],
    [
      'a stage smaller than its window',
      { depths: [2, 2, 2], num_heads: [2, 4, 8] },
      'stage 2 has 2',
    ],
    ['heads of too few stages', { num_heads: [2] }, 'as many num_heads as depths'],
    ['heads that do not divide a stage', { num_heads: [2, 3] }, 'stage 1 has 3 and 32'],
    ['depths that are no list', { depths: 2 }, 'a list of positive whole numbers for depths'],
    ['images beyond any model', { image_size: 1e9 }, 'at most 2048 patches a side'],
    ['depths beyond any model', { depths: [2, 1e9] }, 'at most 10000 blocks a stage for depths'],
  ])('%s', (_, fields, message) => {
    expect(readSwin({ ...stages, ...fields })).toThrow(message);
  });

  test('a classifier is no language model, and the other way round', () => {
    expect(() => readModel({ model_type: 'vit' }, new Set())).toThrow('is an image classifier');
    expect(() => readVisionModel({ model_type: 'opt' }, new Set())).toThrow('is a language model');
  });
});
