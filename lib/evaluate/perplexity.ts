// Perplexity over non-overlapping windows: each window predicts its tokens 2 … T from those before; the result
// is exp of the mean negative log-likelihood over all predicted tokens. Several devices share the windows.

import type { Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import {
  disposeAll,
  miniBatches,
  type PerDevice,
  type StoredModel,
  uploadInput,
} from '../execution/index.js';
import type { BlockContext, LanguageModel, Weights } from '../models/index.js';
import { type EvaluationOptions, finalStates, throughHead } from './final-states.js';

export interface Perplexity {
  readonly perplexity: number;
  /** Predicted tokens. */
  readonly tokens: number;
  readonly windows: number;
}

/** Rows of logits at a time: a vocabulary is much wider than a hidden state. */
const logitRows = 1024;

/** Errors: ERR_ARGUMENT for windows that are too long for the model, ERR_ABORTED, and those of loading. */
export async function evaluatePerplexity(
  stored: PerDevice<StoredModel>,
  model: LanguageModel,
  windows: readonly Int32Array[],
  options: EvaluationOptions = {},
): Promise<Perplexity> {
  const sequence = windows[0]?.length ?? 0;
  if (sequence < 2 || sequence > model.maxPositions) {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected 2 to ${model.maxPositions} tokens for the sequence length but received ${sequence}.`,
    );
  }
  const batches = miniBatches(windows);
  const states = await finalStates(stored, model, batches, sequence, options);
  try {
    const total = await negativeLogLikelihood(stored, model, batches, states, sequence);
    options.onProgress?.(model.blocks + 1, model.blocks + 1);
    const tokens = windows.length * (sequence - 1);
    return { perplexity: Math.exp(total / tokens), tokens, windows: windows.length };
  } finally {
    disposeAll(states);
  }
}

/**
 * Summed over all predicted tokens of the mini-batches, given their hidden states after the last block, each on whatever
 * device; sums of mini-batches are added in their order, so that the result is the same on any number of devices.
 */
export async function negativeLogLikelihood(
  stored: PerDevice<StoredModel>,
  model: LanguageModel,
  batches: readonly Int32Array[],
  states: readonly Tensor[],
  sequence: number,
): Promise<number> {
  const losses = await throughHead(stored, model, states, (batch, state, head) =>
    lossOf(model, head, batches[batch] as Int32Array, state, { device: state.device, sequence }),
  );
  return losses.reduce((sum, loss) => sum + loss, 0);
}

/** Of one mini-batch. */
async function lossOf(
  model: LanguageModel,
  head: Weights,
  ids: Int32Array,
  state: Tensor,
  context: BlockContext,
): Promise<number> {
  const { device, sequence } = context;
  // The next token of each position; the last of a window predicts nothing.
  const targets = Int32Array.from(ids, (_, row) =>
    row % sequence === sequence - 1 ? -1 : (ids[row + 1] ?? -1),
  );
  let total = 0;
  for (let begin = 0; begin < ids.length; begin += logitRows) {
    const end = Math.min(begin + logitRows, ids.length);
    using losses = device.scope(() =>
      device.crossEntropy(
        model.head(device.sliceRows(state, begin, end), head, context),
        uploadInput(device, targets.subarray(begin, end)),
      ),
    );
    total += (await losses.readFloat64()).reduce((sum, loss) => sum + loss, 0);
  }
  return total;
}
