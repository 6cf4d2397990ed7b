// Calibration of an image classifier with quantized activations on a GPU against the same on the CPU, on a model small
// enough for kernels that are emulated.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { activationFile } from '../../lib/execution/index.js';
import type { QuantizeOptions } from '../../lib/index.js';
import { tinyModel } from '../export/tiny-vision.js';
import { gpus } from '../native/harness.js';
import { finish } from '../pipeline/runs.js';

const scheme = {
  samples: 4,
  sampling: 'sequential',
  method: 'rtn',
  bits: 4,
  activationBits: 4,
  activationSites: ['linear', 'attention'],
  compensation: 'position',
  heldOut: 0,
  threads: 1,
} as const;

/** Scales and figures of the same run on the CPU and on the first GPU. */
async function onBoth(variant: string, options: Partial<QuantizeOptions>, fields: object = {}) {
  const { directory: model, calibration } = await tinyModel(variant, fields);
  const run = async (device: string) => {
    const given = { calibration, ...scheme, ...options, device };
    const { directory, report } = await finish(model, given);
    return {
      scales: scalesOf(JSON.parse(readFileSync(join(directory, activationFile), 'utf8'))),
      figures: [...report.layers, ...report.outputs].flatMap((layer) => [
        layer.error,
        layer.errorWithBias,
        layer.outputEnergy,
      ]),
    };
  };
  return { cpu: await run('cpu'), gpu: await run(gpus[0] ?? '') };
}

/** Of all quantizers, in the file's order. */
function scalesOf(value: unknown): number[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) =>
    typeof item === 'number' && /scale$/i.test(key) ? [item] : scalesOf(item),
  );
}

function expectNear(actual: readonly number[], expected: readonly number[], tolerance: number) {
  expect(actual.length).toBe(expected.length);
  expect(expected.length).toBeGreaterThan(0);
  for (const [i, wanted] of expected.entries()) {
    expect(Math.abs((actual[i] ?? Number.NaN) / wanted - 1)).toBeLessThan(tolerance);
  }
}

describe.skipIf(gpus.length === 0)('a GPU agrees with the CPU', () => {
  const patience = { timeout: 1_800_000 };

  it.each(['vit', 'swin'])('static ranges, biases per position: %s', patience, async (variant) => {
    const sites = ['linear', 'attention', 'block'] as const;
    const { cpu, gpu } = await onBoth(variant, { sites });
    expectNear(gpu.scales, cpu.scales, 1e-5);
    expectNear(gpu.figures, cpu.figures, 1e-4);
  });

  // Of two candidates that are as good but for the last digits either may be taken, and what follows sees it.
  it('PTQ4ViT', patience, async () => {
    const { cpu, gpu } = await onBoth(
      'vit',
      { weightSearch: 'hessian', activationRange: 'hessian', activationTwin: true },
      { num_hidden_layers: 1 },
    );
    expectNear(gpu.scales, cpu.scales, 0.1);
    expectNear(gpu.figures, cpu.figures, 0.05);
  });
});
