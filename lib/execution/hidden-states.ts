// The hidden states of a set of samples, one tensor a mini-batch, and how they move through a model block by
// block. Nothing else of a run grows with the number of samples.

import type { Device, Tensor } from '../device/index.js';
import type { BlockContext, LanguageModel, Linear, Weights } from '../models/index.js';

/** Tokens of one mini-batch: enough for matrix products to run at full speed. */
const batchTokens = 8192;

/** Samples of one length, in mini-batches of token ids. */
export function miniBatches(samples: readonly Int32Array[], tokens = batchTokens): Int32Array[] {
  const sequence = samples[0]?.length ?? 0;
  const size = Math.max(1, Math.floor(tokens / sequence));
  const batches: Int32Array[] = [];
  for (let begin = 0; begin < samples.length; begin += size) {
    const part = samples.slice(begin, begin + size);
    const ids = new Int32Array(part.length * sequence);
    part.forEach((sample, i) => {
      ids.set(sample, i * sequence);
    });
    batches.push(ids);
  }
  return batches;
}

export function uploadIds(device: Device, ids: Int32Array): Tensor {
  return device.upload('int32', [ids.length], ids);
}

/** One tensor of hidden states [tokens, hiddenSize] a mini-batch. */
export async function embed(
  model: LanguageModel,
  weights: Weights,
  batches: readonly Int32Array[],
  context: BlockContext,
): Promise<Tensor[]> {
  const { device } = context;
  const states: Tensor[] = [];
  for (const ids of batches) {
    states.push(device.scope(() => model.embed(uploadIds(device, ids), weights, context)));
    await device.synchronize();
  }
  return states;
}

/** What runs one mini-batch through a block. Intermediate tensors are the caller's scope's. */
export function blockRunner(
  model: LanguageModel,
  weights: Weights,
  context: BlockContext,
  index: number,
): (x: Tensor, linear: Linear) => Tensor {
  return (x, linear) => model.block(x, weights, linear, context, index);
}

export function disposeAll(tensors: readonly Tensor[]): void {
  for (const tensor of tensors) tensor.dispose();
}
