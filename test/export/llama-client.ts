// llama.cpp through node-llama-cpp, and its next-token distributions beside those of our evaluator on the same weights.
// `npm run clients` installs it.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { Device } from '../../lib/device/index.js';
import { runBlocks } from '../../lib/evaluate/index.js';
import { openModelFiles } from '../../lib/export/index.js';
import { readModel } from '../../lib/models/index.js';
import { at } from '../native/harness.js';

const client = new URL(
  '../../build/clients/node_modules/node-llama-cpp/dist/index.js',
  import.meta.url,
);
export const hasClient = existsSync(fileURLToPath(client));

/** The little of node-llama-cpp that is used here. */
export interface Llama {
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

export const positions = 512;

/** Next-token distributions after each position. */
export async function theirs(llama: Llama, path: string, ids: Int32Array) {
  const model = await llama.loadModel({ modelPath: path });
  const context = await model.createContext({ contextSize: positions, batchSize: positions });
  const wanted = { generateNext: { probabilities: true } } as const;
  const input = Array.from(ids, (id) => [id, wanted] as const);
  const outputs = await context.getSequence().controlledEvaluate(input);
  await model.dispose();
  return outputs.map(({ next }) => next.probabilities);
}

/** Log-probabilities [positions, vocabulary] of our own evaluator, on the very same file; `changes` are to its config.json. */
export async function ours(
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
export function compare(own: Float64Array[], other: Map<number, number>[], ids: Int32Array) {
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

export async function openLlama(): Promise<Llama> {
  const { getLlama } = await import(client.href);
  return getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: 'error' });
}
