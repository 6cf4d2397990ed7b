// Mistral and Qwen2 written as LLaMA: the same function, with a place for a bias in every linear, or a reason why not.

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { Device } from '../../lib/device/index.js';
import { exportResult, verify } from '../../lib/index.js';
import { readModel, rewriteModel } from '../../lib/models/index.js';

import { configOf, logitsOf, openModel } from '../models/tiny.js';
import { finish } from '../pipeline/runs.js';
import { exampleModel, temporaryFolder } from '../places.js';
import { baseConfig, baseGrid, exportRandom, randomLlama } from './random-llama.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

const families = [
  ['mistral', { model_type: 'mistral', sliding_window: null, head_dim: 24 }],
  ['qwen2', { model_type: 'qwen2', max_window_layers: 1, tie_word_embeddings: false }],
] as const;
/** Linears that LLaMA has apart. */
const fused = ['phi3', { model_type: 'phi3', sliding_window: 128, head_dim: 24 }] as const;
const run = { bits: 3, groupSize: 16, samples: 4, sequenceLength: 32, heldOut: 0 };
const biased = ['gate', 'up', 'down'].map((name) => `mlp.${name}_proj`);

async function logits(directory: string, config?: Record<string, unknown>): Promise<Float32Array> {
  const checkpoint = await Checkpoint.open(directory);
  const ids = Int32Array.from({ length: 48 }, (_, i) => (i * 37) % 256);
  return logitsOf(device, checkpoint, openModel(checkpoint, config), ids, 24);
}

describe.each([...families, fused])('%s', (_, changes) => {
  it('computes the same as LLaMA', async () => {
    const { directory } = await randomLlama(changes);
    const plain = await finish(directory, { ...run, compensation: 'none' });
    const written = await finish(directory, {
      ...run,
      compensation: 'none',
      architecture: 'llama',
    });
    expect(written.report.modelType).toBe('llama');
    expect(await logits(written.directory)).toEqual(await logits(plain.directory));
    const { config, tensors } = await Checkpoint.open(written.directory);
    const ofQwen = changes.model_type === 'qwen2';
    expect(config).toMatchObject({
      model_type: 'llama',
      architectures: ['LlamaForCausalLM'],
      attention_bias: ofQwen,
      mlp_bias: false,
    });
    expect(config).not.toHaveProperty('sliding_window');
    expect(tensors.has('model.layers.1.self_attn.o_proj.bias')).toBe(ofQwen);
    expect(tensors.has('model.layers.1.mlp.up_proj.bias')).toBe(false);
  });

  it.each(['huggingface', 'compressed-tensors', 'gptq', 'gguf'])(
    'has biases in every linear as %s',
    async (format) => {
      const { directory } = await randomLlama(changes);
      const grid = { bits: 4, groupSize: 32, scaleDtype: 'float16' as const, symmetric: true };
      const options = { ...run, ...grid, format, architecture: 'llama' };
      const written = await finish(directory, options);
      expect(written.report.dropped).toEqual([]);
      expect(written.report.layers.every(({ biasKept }) => biasKept)).toBe(true);
      expect(await verify(written.directory)).toMatchObject({ linears: 14 });
      const output = join(await temporaryFolder(), 'again');
      if (format === 'huggingface') return;
      await exportResult(written.directory, { format: 'huggingface', output });
      const { config, tensors } = await Checkpoint.open(output);
      expect(config).toMatchObject({ model_type: 'llama', attention_bias: true, mlp_bias: true });
      for (const name of biased) expect(tensors.has(`model.layers.0.${name}.bias`)).toBe(true);
    },
  );

  it.skipIf(changes.model_type === 'phi3')(
    'keeps the biases of a GGUF file when it is exported as LLaMA',
    async () => {
      const source = await randomLlama(changes);
      const { directory } = await finish(source.directory, {
        ...run,
        bits: 4,
        groupSize: 32,
        format: 'gguf',
      });
      const target = { format: 'huggingface', output: join(await temporaryFolder(), 'out') };
      await expect(exportResult(directory, target)).rejects.toThrow(
        /has a bias that transformers does not read/,
      );
      await exportResult(directory, { ...target, architecture: 'llama' });
      const { config, tensors } = await Checkpoint.open(target.output);
      expect(config).toMatchObject({ model_type: 'llama', mlp_bias: true });
      expect(tensors.has('model.layers.1.mlp.down_proj.bias')).toBe(true);
    },
  );
});

it('exports a packed result as LLaMA, with the logits that it had', async () => {
  const source = await randomLlama(families[1][1]);
  const grid = { ...baseGrid, bits: 5 };
  const made = await exportRandom(device, source, 'compressed-tensors', grid, { biases: false });
  const folder = await temporaryFolder();
  const [plain, written] = [join(folder, 'plain'), join(folder, 'llama')];
  const refused = exportResult(made.directory, {
    format: 'huggingface',
    output: plain,
    architecture: 'opt',
  });
  await expect(refused).rejects.toThrow(
    /can be written as opt exactly \(opt\) but received one of type qwen2/,
  );
  await exportResult(made.directory, { format: 'huggingface', output: plain });
  await exportResult(made.directory, {
    format: 'huggingface',
    output: written,
    architecture: 'llama',
  });
  expect(await logits(written)).toEqual(await logits(plain));
});

describe('phi3 with longrope', () => {
  const factors = (factor: number) => Array.from({ length: 8 }, (_, i) => factor + i / 4);
  const changes = {
    model_type: 'phi3',
    rope_scaling: { type: 'su', short_factor: factors(1), long_factor: factors(2) },
  };

  it.each([16, 64])('turns as LLaMA does with an original context of %i', async (context) => {
    const fields = { ...changes, original_max_position_embeddings: context };
    const source = await randomLlama(fields);
    const names = new Set(source.tensors.keys());
    const { config, model, parts = [] } = rewriteModel(source.config, names, 'llama');
    const { tensors } = source.takenApart(parts);
    expect(tensors.has('model.layers.0.self_attn.qkv_proj.weight')).toBe(false);
    const ids = Int32Array.from({ length: 48 }, (_, i) => (i * 37) % 256);
    const apart = await logitsOf(device, source.takenApart(parts), model, ids, 24);
    expect(apart).toEqual(await logitsOf(device, source, openModel(source), ids, 24));
    expect(config.rope_scaling).toMatchObject({
      rope_type: 'longrope',
      original_max_position_embeddings: context,
    });
  });

  it('takes no tensor apart that has other rows', async () => {
    const source = await randomLlama(changes);
    const { parts = [] } = rewriteModel(source.config, new Set(source.tensors.keys()), 'llama');
    expect(() => source.takenApart(parts.slice(1))).toThrow(
      /rows of model\.layers\.0\.self_attn\.qkv_proj\.weight, as config\.json says, .* holds 128, /,
    );
    expect(await source.takenApart(parts).fingerprint()).toBe(await source.fingerprint());
  });
});

describe('is refused', () => {
  const rewrite = (changes: Record<string, unknown>) => () =>
    rewriteModel({ ...baseConfig, ...changes }, new Set(), 'llama');

  it('for a window that slides', () => {
    expect(rewrite({ model_type: 'mistral', sliding_window: 40 })).toThrow(
      expect.objectContaining({
        code: 'ERR_UNSUPPORTED',
        message:
          'Expected a mistral model without a sliding window to write it as llama, which has none, but in config.json ' +
          'one of 40 tokens slides over 128 positions; write it under its own architecture.',
      }),
    );
    expect(() => rewriteModel(configOf('qwen2-window'), new Set(), 'llama')).toThrow(
      /one of 5 tokens/,
    );
  });

  it('not for a window that the longest sequence fits into', () => {
    const { model, config } = rewrite({ model_type: 'mistral', sliding_window: 128 })();
    expect(model.modelType).toBe('llama');
    expect(readModel(config, new Set()).linears.map(({ bias }) => bias)).not.toContain(true);
  });

  it('for heads of which a part turns', () => {
    expect(rewrite({ model_type: 'phi3', partial_rotary_factor: 0.5 })).toThrow(
      'Expected rotary positions on all 16 channels of a head to write a phi3 model as llama but in config.json they ' +
        'are on 8; write it under its own architecture.',
    );
  });

  it('for a result whose linears are not those of LLaMA', async () => {
    const source = await randomLlama(fused[1]);
    const made = await exportRandom(device, source, 'compressed-tensors', baseGrid, {
      biases: false,
    });
    const output = join(await temporaryFolder(), 'llama');
    const refused = exportResult(made.directory, {
      format: 'huggingface',
      output,
      architecture: 'llama',
    });
    await expect(refused).rejects.toThrow(
      'Expected linears that llama has too, but model.layers.0.self_attn.qkv_proj.weight was quantized as one; quantize ' +
        'the model as llama instead.',
    );
  });

  it.each([exampleModel])('for a model that is something else', async (model) => {
    await expect(finish(model, { ...run, architecture: 'llama' })).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message:
        'Expected a model that can be written as llama exactly (llama, mistral, phi3, qwen2) but received one of type opt; ' +
        'write it under its own architecture.',
    });
  });
});
