// The search for activation ranges on a trained model, judged on a part of its test set.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readHeader } from '../../lib/checkpoint/safetensors-header.js';
import { activationFile } from '../../lib/execution/index.js';
import { evaluateImages, type QuantizeOptions, quantize } from '../../lib/index.js';
import { writeTensors } from './fixtures.js';

const shared = '../shared';
const model = `${shared}/models/vit-cifar`;
const judged = 800;

describe.skipIf(!existsSync(model))('vit-cifar, 3 bits everywhere', () => {
  let root: string;
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'ballast-search-'));
    const file = `${shared}/data/cifar-test.safetensors`;
    const { tensors } = await readHeader(file);
    const bytes = readFileSync(file);
    const part = (name: string, size: number) => {
      const offset = tensors.get(name)?.offset ?? 0;
      return Uint8Array.from(bytes.subarray(offset, offset + judged * size));
    };
    writeTensors(join(root, 'part.safetensors'), {
      images: { dtype: 'U8', shape: [judged, 32, 32, 3], data: part('images', 3072) },
      labels: { dtype: 'I64', shape: [judged], data: part('labels', 8) },
    });
  });
  afterAll(() => rmSync(root, { recursive: true }));

  async function top1(options: Partial<QuantizeOptions>) {
    const output = join(root, JSON.stringify(options).replaceAll(/\W/g, ''));
    const events = quantize(model, {
      calibration: `${shared}/data/cifar-calibration.safetensors`,
      samples: 32,
      method: 'rtn',
      bits: 3,
      activationBits: 3,
      activationSites: ['linear', 'attention'],
      compensation: 'none',
      ...options,
      output,
    });
    for await (const _event of events);
    const { results } = await evaluateImages(output, { images: [join(root, 'part.safetensors')] });
    const { blocks } = JSON.parse(readFileSync(join(output, activationFile), 'utf8'));
    return { top1: results[0]?.top1 ?? 0, block: blocks[0] };
  }

  test('each step of it gains', { timeout: 900_000 }, async () => {
    const base = await top1({ activationRange: 'minmax' });
    const cosine = await top1({ activationRange: 'cosine' });
    const twin = await top1({ activationRange: 'hessian', activationTwin: true });
    expect(cosine.top1).toBeGreaterThan(base.top1 + 3);
    expect(twin.top1).toBeGreaterThan(base.top1 + 6);
    expect(base.block.attention.probabilities.kind).toBe('uniform');
    expect(twin.block.attention.probabilities.kind).toBe('twin');
    expect(twin.block.inputs['output.dense'].kind).toBe('twin');
    expect(twin.block.inputs['intermediate.dense'].kind).toBe('uniform');
  });

  test('options that contradict each other are refused', async () => {
    await expect(top1({ activationTwin: true })).rejects.toThrow(
      "Expected activationRange 'cosine' or 'hessian' with activationTwin",
    );
  });
});
