// The tiny checkpoints of scripts/verify/make-tiny-models.py, run as an evaluation runs a model: block by block, with
// what transformers computed beside them.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { readHeader } from '../../lib/checkpoint/safetensors-header.js';
import type { Device } from '../../lib/device/index.js';
import { runBlocks } from '../../lib/evaluate/index.js';
import { checkpointModel, disposeAll, loadWeights } from '../../lib/execution/index.js';
import {
  type BlockModel,
  type BlockShape,
  chosenExperts,
  type LanguageModel,
  type Route,
  readModel,
  readRoutes,
} from '../../lib/models/index.js';

export type Config = Record<string, unknown>;

const root = fileURLToPath(new URL('tiny', import.meta.url));

export const variants = readdirSync(root).sort();

export const directoryOf = (variant: string) => join(root, variant);

export const configOf = (variant: string): Config =>
  JSON.parse(readFileSync(join(directoryOf(variant), 'config.json'), 'utf8'));

export const openModel = (checkpoint: Checkpoint, config: Config = checkpoint.config) =>
  readModel(config, new Set(checkpoint.tensors.keys()));

/** As the model reads it: with experts that are one tensor taken apart. */
export const readAs = ({ parts = [] }: BlockModel, checkpoint: Checkpoint) =>
  checkpoint.takenApart(parts);

/** What a block with experts is run with, given what runs it; undefined for others. */
export async function routeOf(
  { experts }: BlockShape,
  run: (toRouter: Route) => void,
): Promise<Route | undefined> {
  if (experts === undefined) return undefined;
  using chosen = chosenExperts(run);
  const routes = await readRoutes(chosen, experts);
  return () => routes;
}

export interface Golden {
  readonly ids: Int32Array;
  readonly sequence: number;
  readonly logits: Float32Array;
}

export async function goldenOf(variant: string): Promise<Golden> {
  const file = join(directoryOf(variant), 'golden.safetensors');
  const { tensors } = await readHeader(file);
  const bytes = readFileSync(file);
  const part = (name: string) => {
    const { offset = 0, shape = [] } = tensors.get(name) ?? {};
    const count = shape.reduce((product, extent) => product * extent, 1);
    return {
      shape,
      bytes: bytes.buffer.slice(bytes.byteOffset + offset, bytes.byteOffset + offset + 4 * count),
    };
  };
  const ids = part('ids');
  return {
    ids: new Int32Array(ids.bytes),
    sequence: ids.shape[1] ?? 0,
    logits: new Float32Array(part('logits').bytes),
  };
}

/** [tokens, vocabulary], for whole sequences of ids in one mini-batch. */
export async function logitsOf(
  device: Device,
  checkpoint: Checkpoint,
  model: LanguageModel,
  ids: Int32Array,
  sequence: number,
): Promise<Float32Array> {
  const context = { device, sequence };
  const stored = checkpointModel(device, readAs(model, checkpoint), model);
  const states = await runBlocks(stored, model, [ids], context);
  using head = await loadWeights(device, checkpoint, model.headTensors);
  const [state] = states;
  if (state === undefined) throw new Error('No hidden states.');
  using logits = device.scope(() => model.head(state, head, context));
  disposeAll(states);
  return logits.readFloat32();
}

export function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) throw new Error(`${a.length} values against ${b.length}.`);
  return a.reduce((most, value, i) => {
    const difference = Math.abs(value - (b[i] ?? Number.NaN));
    // NaN must not pass as small.
    return difference <= most ? most : difference;
  }, 0);
}
