// GGUF files in llama.cpp itself, through node-llama-cpp: it tokenizes as we do, and its next-token distributions are
// those of our evaluator on the same weights. `npm run clients` installs it.

import { copyFileSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { loadTokenizer } from '../../lib/checkpoint/tokenizer/tokenizer.js';
import { Device } from '../../lib/device/index.js';
import { runBlocks } from '../../lib/evaluate/index.js';
import { GgufFile } from '../../lib/export/gguf/file-reader.js';
import { openModelFiles } from '../../lib/export/index.js';
import { readModel } from '../../lib/models/index.js';
import { at } from '../native/harness.js';
import { finish } from '../pipeline/runs.js';
import { hasShared, sharedModel, sharedText, temporaryFolder } from '../places.js';
import { exportRandom, randomLlama } from './random-llama.js';

const client = new URL(
  '../../build/clients/node_modules/node-llama-cpp/dist/index.js',
  import.meta.url,
);
const hasClient = existsSync(fileURLToPath(client));

/** The little of node-llama-cpp that is used here. */
interface Llama {
  loadModel(options: { modelPath: string }): Promise<LlamaModel>;
}
interface LlamaModel {
  dispose(): Promise<void>;
  tokenize(text: string, specialTokens: boolean): number[];
  createContext(options: object): Promise<{ getSequence(): LlamaSequence }>;
}
interface LlamaSequence {
  controlledEvaluate(
    input: readonly (readonly [number, { generateNext: { probabilities: true } }])[],
  ): Promise<{ next: { probabilities: Map<number, number> } }[]>;
}

const positions = 512;

const oddText = 'naïve café — 12345\n\n  x\t“”  <s> again';

/** Next-token distributions after each position. */
async function theirs(llama: Llama, path: string, ids: Int32Array) {
  const model = await llama.loadModel({ modelPath: path });
  const context = await model.createContext({ contextSize: positions, batchSize: positions });
  const wanted = { generateNext: { probabilities: true } } as const;
  const input = Array.from(ids, (id) => [id, wanted] as const);
  const outputs = await context.getSequence().controlledEvaluate(input);
  await model.dispose();
  return outputs.map(({ next }) => next.probabilities);
}

/** Log-probabilities [positions, vocabulary] of our own evaluator, on the very same file; `changes` are to its config.json. */
async function ours(
  directory: string,
  ids: Int32Array,
  changes: Record<string, unknown> = {},
): Promise<Float64Array[]> {
  const device = Device.open('cpu');
  try {
    const files = await openModelFiles(directory);
    const model = readModel({ ...files.config, ...changes }, files.tensors);
    const stored = await files.open(device, model);
    const context = { device, sequence: ids.length };
    const [states] = await runBlocks(stored, model, [ids], context);
    if (states === undefined) throw new RangeError('No hidden states.');
    using head = await stored.loadWeights(model.headTensors);
    const logits = await device.scope(() => model.head(states, head, context)).readFloat32();
    const width = model.vocabularySize;
    return Array.from(ids, (_, row) => {
      const values = Float64Array.from(logits.subarray(row * width, (row + 1) * width));
      const most = values.reduce((a, b) => Math.max(a, b));
      const total = Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0)) + most;
      return values.map((value) => value - total);
    });
  } finally {
    device.close();
  }
}

/** KL(ours ‖ theirs), averaged over positions, and their perplexity. */
function compare(own: Float64Array[], other: Map<number, number>[], ids: Int32Array) {
  let divergence = 0;
  let loss = 0;
  for (const [row, logs] of own.entries()) {
    const probabilities = other[row] ?? new Map<number, number>();
    expect(probabilities.size).toBe(logs.length);
    for (const [token, probability] of probabilities) {
      const log = at(logs, token);
      divergence += Math.exp(log) * (log - Math.log(probability));
    }
    const next = ids[row + 1];
    if (next !== undefined) loss -= Math.log(probabilities.get(next) ?? 0);
  }
  return { divergence: divergence / own.length, perplexity: Math.exp(loss / (ids.length - 1)) };
}

/** The same file with all biases zero. */
async function withoutBiases(path: string, copy: string): Promise<string> {
  copyFileSync(path, copy);
  const { tensors } = await GgufFile.open(copy);
  const file = openSync(copy, 'r+');
  const biases = [...tensors].filter(([name]) => name.endsWith('.bias'));
  expect(biases).toHaveLength(35);
  for (const [, { shape, offset }] of biases) {
    writeSync(file, new Uint8Array(4 * (shape[0] ?? 0)), 0, 4 * (shape[0] ?? 0), offset);
  }
  return copy;
}

describe.skipIf(!(hasClient && hasShared))('llama.cpp', () => {
  let llama: Llama;
  let ids: Int32Array;
  const source = sharedModel('llama-6m');
  const text = hasShared ? readFileSync(sharedText('books-heldout'), 'utf8') : '';

  beforeAll(async () => {
    const { getLlama } = await import(client.href);
    llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: 'error' });
    const tokenizer = await loadTokenizer(source);
    ids = (await tokenizer.encode(text.slice(50_000, 60_000))).slice(0, positions);
    await tokenizer.close();
  });

  it.each([
    ['Q4_0', true],
    ['Q4_1', false],
  ])(
    'runs %s as our evaluator runs the same weights, biases included',
    async (_, symmetric) => {
      const { directory } = await finish(source, {
        calibration: sharedText('books-calib'),
        samples: 64,
        sequenceLength: 512,
        sampling: 'sequential',
        method: 'gptq',
        bits: 4,
        format: 'gguf',
        symmetric,
      });
      const path = join(directory, 'model.gguf');
      const folder = await temporaryFolder();
      const own = await ours(directory, ids);

      const { divergence, perplexity } = compare(own, await theirs(llama, path, ids), ids);
      expect(divergence).toBeLessThan(1e-3);
      const bare = await withoutBiases(path, join(folder, 'bare.gguf'));
      const without = compare(own, await theirs(llama, bare, ids), ids);
      // Not which of the two perplexities is lower: after GPTQ at 4 bits, on inputs of RMS norms, which have next to no
      // mean, what the biases make good is less than the noise of these tokens.
      expect(without.divergence).toBeGreaterThan(4 * divergence);
      expect(Math.abs(without.perplexity - perplexity)).toBeGreaterThan(0.01);
    },
    600_000,
  );

  const yarn = { type: 'yarn', factor: 4, original_max_position_embeddings: 32 };
  const experts = { num_experts: 6, num_experts_per_tok: 2, moe_intermediate_size: 32 };
  const oneExpert = { num_experts_per_tok: 1 };
  const otherRotary = { rope_theta: 100, rope_scaling: null };

  it.each<[string, Record<string, unknown>, Record<string, unknown>?]>([
    ['Mistral', { model_type: 'mistral', sliding_window: null, tie_word_embeddings: false }],
    ['Qwen2, biases of its own', { model_type: 'qwen2', rope_theta: 1e6 }],
    [
      'LLaMA with stretched frequencies',
      {
        rope_theta: 500,
        rope_scaling: {
          rope_type: 'llama3',
          factor: 8,
          low_freq_factor: 1,
          high_freq_factor: 4,
          original_max_position_embeddings: 32,
        },
      },
    ],
    [
      'Qwen2 with frequencies and attention of yarn',
      { model_type: 'qwen2', rope_theta: 500, rope_scaling: yarn },
      { rope_scaling: { ...yarn, attention_factor: 1 } },
    ],
    ['Qwen3', { model_type: 'qwen3', head_dim: 16 }],
    [
      'Mixtral',
      { model_type: 'mixtral', ...experts, num_local_experts: 6, rope_theta: 1e4 },
      oneExpert,
    ],
    ['OLMoE', { model_type: 'olmoe', ...experts, num_key_value_heads: 4 }, oneExpert],
    [
      'Qwen3-MoE',
      { model_type: 'qwen3_moe', ...experts, head_dim: 16, norm_topk_prob: true },
      oneExpert,
    ],
    [
      'Qwen2-MoE',
      { model_type: 'qwen2_moe', ...experts, qkv_bias: true, shared_expert_intermediate_size: 64 },
      oneExpert,
    ],
  ])('runs a random %s as we do', async (_, changes, otherwise = otherRotary) => {
    const device = Device.open('cpu');
    const source = await randomLlama(changes, 'float32', 0.3);
    const { directory } = await exportRandom(device, source, 'gguf');
    device.close();
    const drawn = Int32Array.from({ length: 96 }, (_, i) => (i * 37) % 256);
    const other = await theirs(llama, join(directory, 'model.gguf'), drawn);
    const { divergence } = compare(await ours(directory, drawn), other, drawn);
    // It rounds what products read to 8 bits, by which a token may come to another expert.
    expect(divergence).toBeLessThan(changes.num_experts_per_tok === undefined ? 1e-3 : 5e-3);
    const turnedOtherwise = await ours(directory, drawn, otherwise);
    expect(compare(turnedOtherwise, other, drawn).divergence).toBeGreaterThan(20 * divergence);
  });

  const expectSameTokens = async (path: string, directory: string, samples: string[]) => {
    const model = await llama.loadModel({ modelPath: path });
    const tokenizer = await loadTokenizer(directory);
    for (const sample of samples) {
      expect(model.tokenize(sample, true)).toEqual([...(await tokenizer.encode(sample))]);
    }
    await Promise.all([tokenizer.close(), model.dispose()]);
  };

  it('tokenizes as we do, special tokens too', async () => {
    const { directory } = await finish(source, {
      calibration: sharedText('books-calib'),
      samples: 2,
      sequenceLength: 64,
      bits: 8,
      symmetric: true,
      format: 'gguf',
      method: 'rtn',
    });
    const wikitext = readFileSync(sharedText('wikitext2-test'), 'utf8').slice(0, 100_000);
    const samples = [text.slice(0, 100_000), wikitext, oddText];
    await expectSameTokens(join(directory, 'model.gguf'), source, samples);
  });

  it('tokenizes as we do with a tokenizer of bytes where characters are unknown', async () => {
    const { directory } = await randomLlama({ vocab_size: 900, bos_token_id: 1, eos_token_id: 2 });
    const fixture = fileURLToPath(
      new URL('fixtures/byte-fallback-tokenizer.json', import.meta.url),
    );
    copyFileSync(fixture, join(directory, 'tokenizer.json'));
    const device = Device.open('cpu');
    const made = await exportRandom(device, await Checkpoint.open(directory), 'gguf');
    device.close();
    const samples = [text.slice(0, 50_000), oddText, 'Hello world', ' a space in front'];
    await expectSameTokens(join(made.directory, 'model.gguf'), directory, samples);
  });
});
