// GGUF files in llama.cpp itself, through node-llama-cpp: it tokenizes as we do, and its next-token distributions are
// those of our evaluator on the same weights.

import { copyFileSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { loadTokenizer } from '../../lib/checkpoint/tokenizer/tokenizer.js';
import { Device } from '../../lib/device/index.js';
import { GgufFile } from '../../lib/export/gguf/file-reader.js';
import { finish } from '../pipeline/runs.js';
import { hasShared, sharedModel, sharedText, temporaryFolder } from '../places.js';
import { compare, hasClient, type Llama, openLlama, ours, theirs } from './llama-client.js';
import { exportRandom, randomLlama, superGrid, superSizes } from './random-llama.js';

const oddText = 'naïve café — 12345\n\n  x\t“”  <s> again';

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
    llama = await openLlama();
    const tokenizer = await loadTokenizer(source);
    ids = (await tokenizer.encode(text.slice(50_000, 60_000))).slice(0, 256);
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
        samples: 16,
        sequenceLength: 256,
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

  it.each([
    [2, 16],
    [3, 16],
    [4, 8],
    [5, 16],
    [6, 8],
  ])('runs Q%i_K as our evaluator does, embeddings of %i bits', async (bits, embeddingBits) => {
    const device = Device.open('cpu');
    const random = await randomLlama(superSizes, 'float32', 0.1);
    const grid = superGrid(bits);
    const { directory } = await exportRandom(device, random, 'gguf', grid, { embeddingBits });
    const drawn = Int32Array.from({ length: 96 }, (_, i) => (i * 37) % 256);
    const other = await theirs(llama, join(directory, 'model.gguf'), drawn);
    const { divergence } = compare(await ours(directory, drawn), other, drawn);
    expect(divergence).toBeLessThan(1e-3);
    // The same without biases is another model.
    const bare = await exportRandom(device, random, 'gguf', grid, { biases: false });
    device.close();
    const without = compare(await ours(bare.directory, drawn), other, drawn);
    expect(without.divergence).toBeGreaterThan(20 * divergence);
  });

  it('runs experts in super-blocks as our evaluator does', async () => {
    const device = Device.open('cpu');
    const experts = { num_experts: 6, num_experts_per_tok: 2, moe_intermediate_size: 256 };
    const mixture = { ...superSizes, ...experts, model_type: 'qwen3_moe', norm_topk_prob: true };
    const random = await randomLlama(mixture, 'float32', 0.1);
    const { directory } = await exportRandom(device, random, 'gguf', superGrid(4));
    device.close();
    const drawn = Int32Array.from({ length: 96 }, (_, i) => (i * 37) % 256);
    const other = await theirs(llama, join(directory, 'model.gguf'), drawn);
    const run = async (changes: object) =>
      compare(await ours(directory, drawn, { ...changes }), other, drawn).divergence;
    const divergence = await run({});
    // It rounds what products read to 8 bits, by which a token may come to another expert.
    expect(divergence).toBeLessThan(5e-3);
    expect(await run({ num_experts_per_tok: 1 })).toBeGreaterThan(20 * divergence);
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
