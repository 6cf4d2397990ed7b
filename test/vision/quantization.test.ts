// Runs on an image classifier: the figures of an independent program on a trained model, and what must hold on any.
// BALLAST_FULL=1 compares the figure without biases too.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { evaluateImages, type QuantizeOptions, quantize, type RunReport } from '../../lib/index.js';
import { full } from '../pipeline/runs.js';

const shared = '../shared';
const model = `${shared}/models/vit-cifar`;
const calibration = `${shared}/data/cifar-calibration.safetensors`;

const root = mkdtempSync(join(tmpdir(), 'ballast-vision-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let runs = 0;
async function run(
  options: Partial<QuantizeOptions>,
): Promise<{ output: string; report: RunReport }> {
  const output = join(root, `${runs++}`);
  const given = { calibration, samples: 16, sampling: 'sequential', ...options, output } as const;
  const events = quantize(model, given);
  for (;;) {
    const { value, done } = await events.next();
    if (done) return { output, report: value };
  }
}

async function top1(output: string): Promise<number> {
  const images = [`${shared}/data/cifar-test.safetensors`];
  return (await evaluateImages(output, { images })).results[0]?.top1 ?? 0;
}

/** The scheme of shared/golden/vit-cifar.json. */
const scheme = {
  method: 'rtn',
  bits: 3,
  activationBits: 3,
  samples: 128,
  heldOut: 0,
  propagate: 'float',
} as const;

describe.skipIf(!existsSync(model))('vit-cifar', () => {
  test.each([
    // Two points less.
    ...(full ? (['none'] as const) : []),
    'position',
  ] as const)(
    'W3A3 as an independent program has it: biases %s',
    {
      timeout: 900_000,
    },
    async (compensation) => {
      const golden = JSON.parse(
        readFileSync(`${shared}/golden/vit-cifar.json`, 'utf8'),
      ).base_minmax;
      const found = await top1((await run({ ...scheme, compensation })).output);
      expect(Math.abs(found - golden[`w3a3 ${compensation}`])).toBeLessThan(0.5);
    },
  );

  test('certificates hold with quantized activations at every site and granularity', async () => {
    for (const compensation of ['channel', 'position'] as const) {
      const { report } = await run({
        method: 'rtn',
        bits: 4,
        activationBits: 4,
        activationSites: ['linear', 'attention'],
        compensation,
        sites: ['linear', 'attention', 'mlp', 'block'],
      });
      expect(report.layers).toHaveLength(36);
      for (const { error, errorWithBias, biasEnergy, biasKept } of report.layers) {
        expect(errorWithBias).toBeLessThanOrEqual(error);
        if (biasKept) expect(error - errorWithBias).toBeCloseTo(biasEnergy, 5);
      }
    }
  });

  test.each<[string, Partial<QuantizeOptions>]>([
    ['one range a token', { activationRange: 'dynamic', activationGranularity: 'token' }],
    ['percentile', { activationRange: 'percentile' }],
    ['mse, symmetric', { activationRange: 'mse', activationSymmetric: true }],
  ])('8 bits lose little: %s', async (_, options) => {
    const { report } = await run({ method: 'rtn', bits: 8, activationBits: 8, ...options });
    for (const { error } of report.layers) expect(error).toBeLessThan(0.01);
  });

  test('what images have no use for is refused', async () => {
    await expect(run({ sequenceLength: 65 })).rejects.toThrow(
      'no sequenceLength for an image classifier',
    );
    await expect(run({ samples: 600 })).rejects.toThrow(
      /Expected 600 images for calibration .* has 512/,
    );
    await expect(run({ activationBits: 8, activationGranularity: 'token' })).rejects.toThrow(
      "Expected activationRange 'dynamic' with activationGranularity 'token'",
    );
  });
});
