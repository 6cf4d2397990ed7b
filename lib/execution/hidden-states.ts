// The hidden states of a set of samples, one tensor a mini-batch, and how they move through a model block by
// block. Nothing else of a run grows with the number of samples. Mini-batches may lie on several devices; each stays
// where it is.

import type { Device, Tensor } from '../device/index.js';
import { joined } from '../joined.js';
import type { BatchContext, BlockContext, BlockModel, Linear, Weights } from '../models/index.js';
import { onItems } from './per-device.js';
import { queueEach } from './queue-each.js';

/**
 * Tokens of one mini-batch where nobody says otherwise: enough for a CPU's matrix products to run at full speed, and few
 * enough that what an operation writes is still in the cache when the next one reads it (8192 took a fifth more processor
 * time).
 */
export const batchTokens = 2048;

/** What `embed` reads: ids of tokens, or pixels. */
export type Input = Int32Array | Float32Array;

/** How many samples of so many tokens a mini-batch holds. */
export function batchSize(sequence: number, tokens = batchTokens): number {
  return Math.max(1, Math.floor(tokens / sequence));
}

/** Samples of one length, which become `sequence` tokens each, in mini-batches. */
export function miniBatches<T extends Input>(
  samples: readonly T[],
  tokens = batchTokens,
  sequence = samples[0]?.length ?? 0,
): T[] {
  const size = batchSize(sequence, tokens);
  const batches: T[] = [];
  for (let begin = 0; begin < samples.length; begin += size) {
    batches.push(joined(samples.slice(begin, begin + size)));
  }
  return batches;
}

export function uploadInput(device: Device, input: Input): Tensor {
  const dtype = input instanceof Int32Array ? 'int32' : 'float32';
  return device.upload(dtype, [input.length], input);
}

/** One tensor of hidden states [tokens, hiddenSize] a mini-batch. */
export async function embed(
  model: BlockModel,
  weights: Weights,
  batches: readonly Input[],
  context: BlockContext,
): Promise<Tensor[]> {
  const { device } = context;
  return mapBatches(
    batches.map(() => device),
    (batch) => model.embed(uploadInput(device, batches[batch] as Input), weights, context),
  );
}

/**
 * What `body` makes of each mini-batch on the device where it lies, given one device a mini-batch: devices work at the
 * same time, each on its own mini-batches in their order, as `queueEach` does. `body` only enqueues; what it makes besides
 * is disposed. Errors as `onItems`. `throwIfStopped` is called before each.
 */
export async function mapBatches(
  places: readonly Device[],
  body: (batch: number, device: Device) => Tensor | undefined,
  throwIfStopped: () => void = () => {},
): Promise<Tensor[]> {
  const made = await onItems<Tensor | undefined>(places, (device, own, results) =>
    queueEach(device, own, (batch) => {
      throwIfStopped();
      results[batch] = device.scope(() => body(batch, device));
    }),
  );
  return made.filter((tensor) => tensor !== undefined);
}

/** What runs one mini-batch through a block. Intermediate tensors are the caller's scope's. */
export function blockRunner(
  model: BlockModel,
  weights: Weights,
  context: BlockContext,
  index: number,
): (x: Tensor, linear: Linear, batch?: BatchContext) => Tensor {
  return (x, linear, batch) => model.block(x, weights, linear, { ...context, ...batch }, index);
}

export function disposeAll(tensors: readonly Tensor[]): void {
  for (const tensor of tensors) tensor.dispose();
}
