// Packed results are evaluated as they are: what their files hold computes what the run executed, to the last bit.

import { readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { evaluate, evaluateImages, exportResult, verify } from '../../lib/index.js';

import { finish } from '../pipeline/runs.js';
import {
  exampleModel,
  hasShared,
  sharedModel,
  sharedText,
  shortTestText,
  temporaryFolder,
} from '../places.js';
import { randomLlama } from './random-llama.js';

const grid = { bits: 4, groupSize: 32, symmetric: true, scaleDtype: 'float16' as const };
const run = { ...grid, samples: 4, sequenceLength: 64, heldOut: 0 };

async function perplexity(model: string): Promise<number> {
  const { results } = await evaluate(model, { texts: [shortTestText], sequenceLength: 64 });
  return results[0]?.perplexity ?? Number.NaN;
}

/** The result in another format. */
async function converted(result: string, format: string): Promise<string> {
  const output = join(await temporaryFolder(), format);
  await exportResult(result, { format, output });
  return output;
}

describe('the perplexity of a result does not depend on its format', () => {
  it.each([
    ['llama, untied', { tie_word_embeddings: false }, {}],
    ['llama, zero points', {}, { symmetric: false }],
    ['llama, stretched frequencies', { rope_scaling: { rope_type: 'linear', factor: 2 } }, {}],
    ['qwen2', { model_type: 'qwen2' }, {}],
    ['qwen2 as llama', { model_type: 'qwen2' }, { architecture: 'llama' }],
  ])('%s', async (_, config, options) => {
    const { directory } = await randomLlama(config, 'float16');
    const plain = (await finish(directory, { ...run, ...options })).directory;
    const expected = await perplexity(plain);
    const symmetric = !('symmetric' in options);
    const formats = ['compressed-tensors', ...(symmetric ? ['gptq', 'gguf'] : [])];
    for (const format of formats) {
      const packed = await converted(plain, format);
      // What is evaluated is packed: there is no weight of a linear.
      expect(await readdir(packed)).not.toContain('ballast-grid');
      expect(await perplexity(packed), format).toBe(expected);
    }
  });

  it('a model whose blocks have other names', async () => {
    const { directory } = await finish(exampleModel, { ...run, sites: ['linear', 'block'] });
    const packed = await converted(directory, 'gptq');
    expect(await perplexity(packed)).toBe(await perplexity(directory));
  });

  it('biases per position and quantized activations beside it', async () => {
    for (const options of [
      { compensation: 'position' as const },
      { activationBits: 8, activationRange: 'minmax' as const },
    ]) {
      const { directory } = await finish(exampleModel, { ...run, ...options });
      const packed = await converted(directory, 'compressed-tensors');
      expect(await perplexity(packed)).toBe(await perplexity(directory));
    }
  });
});

describe.skipIf(!hasShared)('the accuracy of a classifier', () => {
  it('does not depend on its format', async () => {
    const calibration = join(dirname(sharedText('')), 'cifar-calibration.safetensors');
    const options = { ...grid, samples: 8, heldOut: 0, calibration };
    const { directory } = await finish(sharedModel('vit-cifar'), options);
    const images = [calibration];
    const packed = await converted(directory, 'compressed-tensors');
    expect((await evaluateImages(packed, { images })).results).toEqual(
      (await evaluateImages(directory, { images })).results,
    );
  });
});

describe('a damaged result', () => {
  it('is told by what is missing', async () => {
    const { directory } = await randomLlama();
    const packed = (await finish(directory, { ...run, format: 'gguf' })).directory;
    await rm(join(packed, 'model.gguf'));
    await expect(perplexity(packed)).rejects.toMatchObject({
      code: 'ERR_IO',
      message: expect.stringContaining('model.gguf'),
    });
    await writeFile(join(packed, 'ballast-export.json'), '{}');
    await expect(perplexity(packed)).rejects.toMatchObject({
      code: 'ERR_CHECKPOINT',
      message: expect.stringContaining('ballast-export.json lacks format, grid or blocks'),
    });
    for (const block of [null, 1, { 'self_attn.q_proj': { dtype: 0 } }]) {
      const record = { format: 'gguf', grid: {}, blocks: [{}, block] };
      await writeFile(join(packed, 'ballast-export.json'), JSON.stringify(record));
      await expect(verify(packed)).rejects.toMatchObject({
        code: 'ERR_CHECKPOINT',
        message: expect.stringContaining('ballast-export.json has no digests of block 1'),
      });
    }
  });
});
