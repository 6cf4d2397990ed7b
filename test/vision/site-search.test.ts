// The search over sites on image classifiers: what a combination is scored by is the divergence that the model quantized
// with it has, formed here from logits; activations and searched scales are those of a run of their own.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { Device } from '../../lib/device/index.js';
import { ImageClassifier } from '../../lib/evaluate/image-classifier.js';
import { checkpointModel, positionBiasFile } from '../../lib/execution/index.js';
import { openImages } from '../../lib/images/index.js';
import { type QuantizeOptions, type SearchReport, search } from '../../lib/index.js';
import { readVisionModel } from '../../lib/models/index.js';
import { tinyModel } from '../export/tiny-vision.js';
import { at } from '../native/harness.js';
import { finish } from '../pipeline/runs.js';
import { temporaryFolder } from '../places.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

type Options = Omit<QuantizeOptions, 'output' | 'sites'>;

const scheme = {
  method: 'rtn',
  bits: 3,
  activationBits: 3,
  activationSites: ['linear', 'attention'],
  sampling: 'sequential',
} as const;
/** Of eight images the first six are fitted on. */
const options = { ...scheme, samples: 6, heldOut: 1 / 3 } as const;
const heldOut = [6, 7];

async function searched(model: string, given: Options): Promise<SearchReport> {
  const events = search(model, { ...given, output: join(await temporaryFolder(), 'result') });
  for (;;) {
    const { value, done } = await events.next();
    if (done) return value;
  }
}

const nameOf = (sites: readonly string[]) => sites.join(' + ') || 'none';

function scoreOf({ candidates }: SearchReport, sites: readonly string[]): number {
  const found = candidates.find((candidate) => nameOf(candidate.sites) === nameOf(sites));
  return found?.heldOutDivergence ?? Number.NaN;
}

/** Of the model in a directory, on those images: [images, classes]. */
async function probabilities(directory: string, file: string, images: readonly number[]) {
  const checkpoint = await Checkpoint.open(directory);
  const model = readVisionModel(checkpoint.config, new Set(checkpoint.tensors.keys()));
  const stored = checkpointModel(device, checkpoint, model);
  using classifier = await ImageClassifier.load(device, stored, model);
  const set = await openImages(file, directory, model);
  const logits = await classifier.logits(await set.pixels(images));
  await set.close();
  return images.map((_, i) => {
    const powers = Array.from(
      logits.subarray(i * model.classes, (i + 1) * model.classes),
      Math.exp,
    );
    const total = powers.reduce((sum, power) => sum + power);
    return powers.map((power) => power / total);
  });
}

async function divergence(model: string, result: string, file: string) {
  const p = await probabilities(model, file, heldOut);
  const q = await probabilities(result, file, heldOut);
  const terms = p.flatMap((row, i) => row.map((own, c) => own * Math.log(own / at(q[i] ?? [], c))));
  return terms.reduce((sum, term) => sum + term) / p.length;
}

const searches = {
  activationRange: 'hessian',
  activationTwin: true,
  weightSearch: 'hessian',
} as const;

describe('a tiny model', () => {
  test.each([
    ['vit', 'position', searches],
    ['deit-distilled', 'channel', { activationRange: 'dynamic' }],
    ['swin', 'channel', {}],
  ] as const)('%s, per %s: every combination is scored by what it is', async (...row) => {
    const [variant, compensation, ranges] = row;
    const { directory, calibration } = await tinyModel(variant);
    const given = { ...options, ...ranges, compensation, calibration };
    const found = await searched(directory, given);
    // Linear with or without attention, or without linear attention, matmul or neither; each with or without MLP, block
    // and, per channel, model.
    const names = found.candidates.map(({ sites }) => nameOf(sites));
    expect(new Set(names).size).toBe(compensation === 'channel' ? 40 : 20);
    expect(names).toHaveLength(new Set(names).size);
    const scores = found.candidates.map(({ heldOutDivergence }) => heldOutDivergence ?? Number.NaN);
    expect(scores).toEqual([...scores].sort((a, b) => a - b));
    expect(Math.min(...scores)).toBeGreaterThan(0);
    expect(found.metric).toBe('heldOutDivergence');

    const { output } = found.report.options;
    expect(found.report.options.sites).toEqual(found.candidates[0]?.sites);
    const sites = ['matmul', 'mlp', 'block'] as const;
    const some = await finish(directory, { ...given, sites });
    const none = await finish(directory, { ...given, compensation: 'none' });
    const results: [readonly string[], string][] = [
      [found.report.options.sites, output],
      [sites, some.directory],
      [[], none.directory],
    ];
    for (const [sites, result] of results) {
      const expected = await divergence(directory, result, calibration);
      expect(scoreOf(found, sites) / expected, nameOf(sites)).toBeCloseTo(1, 3);
    }
  });

  test('biases that change nothing lose to none, and the result has none', async () => {
    const { directory, calibration } = await tinyModel('vit');
    const vanishing = { compensation: 'position', shrinkage: Number.MAX_VALUE } as const;
    const { candidates, report } = await searched(directory, {
      ...scheme,
      ...vanishing,
      samples: 4,
      calibration,
    });
    expect(report.options.heldOut).toBe(0.5);
    expect(candidates[0]?.sites).toEqual([]);
    expect(report.options).toMatchObject({ compensation: 'none', sites: [] });
    expect(report.layers.some(({ biasKept }) => biasKept)).toBe(false);
    expect(existsSync(join(report.options.output, positionBiasFile))).toBe(false);
  });

  test('sites that the options have no use for are left out', async () => {
    const { directory, calibration } = await tinyModel('vit');
    const sitesOf = async (given: Partial<Options>) => {
      const { candidates } = await searched(directory, { ...options, calibration, ...given });
      return new Set(candidates.flatMap(({ sites }) => sites));
    };
    const floatOperands = await sitesOf({ activationSites: ['linear'] });
    expect(floatOperands).toEqual(new Set(['linear', 'attention', 'mlp', 'block', 'model']));
    const floatPath = await sitesOf({ propagate: 'float' });
    expect(floatPath).toEqual(new Set(['linear', 'block', 'model']));
  });
});

const shared = '../shared';

describe.skipIf(!existsSync(`${shared}/models/vit-cifar`))('vit-cifar, 3 bits everywhere', () => {
  test('the choice diverges less than no compensation and biases of linears', async () => {
    const found = await searched(`${shared}/models/vit-cifar`, {
      ...scheme,
      compensation: 'position',
      samples: 8,
      threads: 1,
      calibration: `${shared}/data/cifar-calibration.safetensors`,
    });
    const best = found.candidates[0]?.heldOutDivergence ?? Number.NaN;
    expect(best).toBeLessThan(0.8 * scoreOf(found, []));
    expect(best).toBeLessThan(0.8 * scoreOf(found, ['linear']));
  });
});
