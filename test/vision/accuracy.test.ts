// Float accuracy of a trained ViT against the figure of an independent program.

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { evaluateImages } from '../../lib/index.js';

const shared = '../shared';
const model = `${shared}/models/vit-cifar`;

describe.skipIf(!existsSync(model))('vit-cifar, float', () => {
  test('top-1 within 0.1 points of the golden figure', { timeout: 600_000 }, async () => {
    const golden = JSON.parse(readFileSync(`${shared}/golden/vit-cifar.json`, 'utf8'));
    const images = [`${shared}/data/cifar-test.safetensors`];
    const { results } = await evaluateImages(model, { images });
    expect(results.map(({ images, count }) => [images, count])).toEqual([
      ['cifar-test.safetensors', golden.test_images],
    ]);
    expect(Math.abs((results[0]?.top1 ?? 0) - golden.float)).toBeLessThanOrEqual(0.1);
    expect(results[0]?.top5).toBeGreaterThan(80);
  });
});
