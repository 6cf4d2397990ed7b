// Images on several devices: accuracy is the same to the last digit, since a row's digits do not depend on its company,
// and calibration agrees with one device to the rounding of sums.

import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { ImageClassifier } from '../../lib/evaluate/image-classifier.js';
import { evaluateImages, search } from '../../lib/index.js';
import { tinyModel } from '../export/tiny-vision.js';
import { finish } from '../pipeline/runs.js';
import { temporaryFolder } from '../places.js';

/** Three mini-batches: no even split. */
const images = 450;
const both = ['cpu', 'cpu'];
const threads = 1;

describe('evaluation on two devices', () => {
  it('is that on one', async () => {
    const { directory, calibration } = await tinyModel('vit', {}, images);
    const told: number[] = [];
    const onProgress = (event: { done: number }) => void told.push(event.done);
    const given = { images: [calibration], threads };
    const one = await evaluateImages(directory, given);
    const two = await evaluateImages(directory, { ...given, device: both, onProgress });
    expect(two).toEqual(one);
    expect(one.results[0]).toMatchObject({ images: 'calibration.safetensors', count: images });
    expect(one.results[0]?.top5).toBeGreaterThan(one.results[0]?.top1 ?? Number.NaN);
    expect(told).toHaveLength(4);
    expect([told[0], told.at(-1)]).toEqual([0, images]);
  });

  it('ends on both where it fails on one', async () => {
    const { directory, calibration } = await tinyModel('vit', {}, images);
    const logits = vi.spyOn(ImageClassifier.prototype, 'logits');
    logits.mockRejectedValueOnce(new Error('Lost.'));
    const given = { images: [calibration], threads, device: both };
    await expect(evaluateImages(directory, given)).rejects.toThrow('Lost.');
    expect(logits.mock.calls.length).toBeLessThan(3);
    logits.mockRestore();
  });
});

it('a search scores on two devices as on one', async () => {
  const { directory, calibration } = await tinyModel('vit', {}, images);
  const given = { calibration, samples: images - 10, method: 'rtn', bits: 3, threads } as const;
  const scores = async (device: string[]) => {
    const output = join(await temporaryFolder(), 'result');
    const found = new Map<string, number>();
    for await (const event of search(directory, { ...given, output, device })) {
      if (event.type !== 'candidate') continue;
      const { sites, heldOutDivergence } = event.candidate;
      found.set(sites.join(' + '), heldOutDivergence ?? Number.NaN);
    }
    return found;
  };
  const one = await scores(['cpu']);
  const two = await scores(both);
  expect([...two.keys()]).toEqual([...one.keys()]);
  // Where nothing is fitted, no sum of several devices is on the way.
  expect(two.get('')).toBe(one.get(''));
  for (const [sites, score] of two) {
    expect(Math.abs(score / (one.get(sites) ?? Number.NaN) - 1)).toBeLessThan(1e-3);
  }
});

it('calibration on two devices agrees with that on one', async () => {
  const { directory, calibration } = await tinyModel('vit', {}, images);
  const given = {
    calibration,
    samples: images - 10,
    heldOut: 0,
    method: 'rtn',
    bits: 4,
    activationBits: 4,
    activationSites: ['linear', 'attention'],
    compensation: 'position',
    sites: ['linear', 'block'],
    threads,
  } as const;
  const [one, two] = [
    await finish(directory, given),
    await finish(directory, { ...given, device: both }),
  ];
  const figures = ({ report }: typeof one) =>
    [...report.layers, ...report.outputs].flatMap(({ error, errorWithBias }) => [
      error,
      errorWithBias,
    ]);
  const expected = figures(one);
  for (const [i, figure] of figures(two).entries()) {
    expect(Math.abs(figure / (expected[i] ?? Number.NaN) - 1)).toBeLessThan(2e-6);
  }
});
