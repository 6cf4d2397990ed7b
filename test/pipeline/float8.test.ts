// Whole jobs on an FP8 checkpoint: they give what they give on the float checkpoint that it stands for, byte by byte.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import {
  evaluate,
  exportResult,
  inspect,
  planMemory,
  type QuantizeOptions,
  search,
  verify,
} from '../../lib/index.js';
import { type Float8Copy, float8Copies, inBlocks } from '../checkpoint/float8-copies.js';
import { randomLlama } from '../export/random-llama.js';
import { exampleText, temporaryFolder } from '../places.js';
import { filesOf, finish } from './runs.js';

const run = { samples: 4, sequenceLength: 32, heldOut: 0, groupSize: 32, bits: 4 } as const;
const evaluation = { texts: [exampleText], sequenceLength: 32 };

const copies = async (changes: Record<string, unknown> = {}, copy: Float8Copy = inBlocks) =>
  float8Copies(await randomLlama({ dtype: 'bfloat16', ...changes }, 'bfloat16'), copy);

it.each([
  ['gptq', 'huggingface', {}],
  ['comq', 'compressed-tensors', { symmetric: true, scaleDtype: 'float16' }],
  ['rtn', 'gguf', { symmetric: true }],
  ['rtn', 'gptq', { scaleDtype: 'float16' }],
] as [string, string, Partial<QuantizeOptions>][])('%s as %s', async (method, format, grid) => {
  const { stored, float } = await copies();
  const options = { ...run, ...grid, method, format } as const;
  const [found, expected] = [await finish(stored, options), await finish(float, options)];
  expect(await filesOf(found)).toEqual(await filesOf(expected));
  expect(found.report.layers.map(({ error }) => error)).toEqual(
    expected.report.layers.map(({ error }) => error),
  );
  expect(await verify(found.directory)).toMatchObject({ linears: 14 });
});

it('is evaluated, planned and searched like the float model', async () => {
  const { stored, float } = await copies();
  const [found, expected] = [await evaluate(stored, evaluation), await evaluate(float, evaluation)];
  expect(found.results).toEqual(expected.results);
  const output = join(await temporaryFolder(), 'result');
  const options = { ...run, output, calibration: exampleText };
  expect(await planMemory(stored, options)).toEqual(await planMemory(float, options));
  const searched = await Promise.all([stored, float].map((model) => searchedBy(model)));
  expect(searched[0]).toEqual(searched[1]);
});

async function searchedBy(model: string) {
  const output = join(await temporaryFolder(), 'result');
  const options = {
    ...run,
    output,
    calibration: exampleText,
    heldOut: 0.25,
    method: 'rtn',
  } as const;
  for await (const event of search(model, options)) {
    if (event.type === 'done') return filesOf({ directory: output, report: event.report });
  }
  throw new Error('The search ended without a report.');
}

it('stands for the source of a result that lacks tensors', async () => {
  const { stored, float } = await copies();
  const grid = { ...run, method: 'rtn', format: 'gguf', symmetric: true } as const;
  const again = async (model: string) => {
    const { directory } = await finish(model, grid);
    const output = join(await temporaryFolder(), 'again');
    await exportResult(directory, { format: 'huggingface', output });
    return output;
  };
  const [found, expected] = [await again(stored), await again(float)];
  const weights = async (directory: string) =>
    (await filesOf({ directory } as Parameters<typeof filesOf>[0]))['model.safetensors'];
  expect(await weights(found)).toBe(await weights(expected));
});

it('is taken apart with its scales, from the middle of a block too', async () => {
  const changes = { model_type: 'phi3', sliding_window: 128, head_dim: 24 };
  const quantization = { quant_method: 'fp8', weight_block_size: [40, 40] };
  const { stored, float } = await copies(changes, { ...inBlocks, quantization, block: [40, 40] });
  const options = { ...run, groupSize: 16, method: 'rtn', architecture: 'llama' } as const;
  const [found, expected] = [await finish(stored, options), await finish(float, options)];
  expect(await filesOf(found)).toEqual(await filesOf(expected));
});

it('gives floats for what no model reads, and leaves nothing of the scales', async () => {
  const source = await randomLlama({ dtype: 'bfloat16' }, 'bfloat16');
  // As of a block that only predicts further tokens: of two, one is run.
  const config = { ...source.config, num_hidden_layers: 1 };
  const shorter = source.seenAs(config, source.tensors);
  const { stored, float } = await float8Copies(shorter, inBlocks, (entries) => [
    ...entries,
    { name: 'model.layers.0.self_attn.q_proj.input_scale', tag: 'F32', ...one },
    { name: 'model.layers.0.self_attn.k_scale', tag: 'F32', ...one },
  ]);
  const options = { ...run, method: 'rtn' } as const;
  const [found, expected] = [await finish(stored, options), await finish(float, options)];
  expect(await filesOf(found)).toEqual(await filesOf(expected));
  const { tensors } = await Checkpoint.open(found.directory);
  expect(tensors.get('model.layers.1.mlp.up_proj.weight')?.dtype).toBe('bfloat16');
});

const one = { shape: [1], bytes: new Uint8Array(Float32Array.of(0.5).buffer) };

it('is refused where config.json does not tell its scales', async () => {
  const { stored } = await copies();
  const path = join(stored, 'config.json');
  const { quantization_config: _lost, ...config } = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify(config));
  await expect(evaluate(stored, evaluation)).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED',
    message: expect.stringMatching(
      /q_proj\.weight but .* holds float8_e4m3fn, whose scales quantization_config in config.json does not tell/,
    ),
  });
});

it('is told as what it is', async () => {
  const { stored } = await copies();
  expect(await inspect(stored)).toMatchObject({
    quantizationMethod: 'fp8',
    dtypes: ['float8_e4m3fn', 'float32', 'bfloat16'],
    linears: 14,
  });
});
