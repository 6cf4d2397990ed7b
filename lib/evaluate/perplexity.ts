// Perplexity over non-overlapping windows: each window predicts its tokens 2 … T from those before; the result
// is exp of the mean negative log-likelihood over all predicted tokens. The model moves through memory block by
// block while the hidden states of all windows stay. Several devices each take a share of the windows through it.

import type { Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import {
  dealt,
  disposeAll,
  embed,
  type Input,
  loadStoredBlock,
  miniBatches,
  onEach,
  openCompanions,
  type PerDevice,
  type StoredModel,
  uploadInput,
} from '../execution/index.js';
import type { BlockContext, BlockModel, LanguageModel } from '../models/index.js';

export interface EvaluationOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after each block and after the head, which are `total` steps together. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

interface BlockProgress extends Pick<EvaluationOptions, 'onProgress'> {
  /** Called before each block. */
  readonly throwIfStopped?: () => void;
}

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
  const { devices } = stored;
  const places = dealt(devices, batches);
  const { signal, onProgress } = options;
  const losses = await onEach(devices, async (device, hasFailed) => {
    const own = batches.filter((_, i) => places[i] === device);
    const throwIfStopped = () => {
      if (signal?.aborted || hasFailed()) throw aborted();
    };
    const context = { device, sequence };
    const progress = { throwIfStopped, onProgress: device === devices[0] ? onProgress : undefined };
    const states = await runBlocks(stored.of(device), model, own, context, progress);
    try {
      return await negativeLogLikelihood(stored.of(device), model, own, states, context);
    } finally {
      disposeAll(states);
    }
  });
  onProgress?.(model.blocks + 1, model.blocks + 1);
  const total = losses.reduce((sum, loss) => sum + loss, 0);
  const tokens = windows.length * (sequence - 1);
  return { perplexity: Math.exp(total / tokens), tokens, windows: windows.length };
}

function aborted(): BallastError {
  return new BallastError('ERR_ABORTED', 'The evaluation was aborted.');
}

/** Hidden states after the last block, one tensor a mini-batch. */
export async function runBlocks(
  stored: StoredModel,
  model: BlockModel,
  batches: readonly Input[],
  context: BlockContext,
  { throwIfStopped, onProgress }: BlockProgress = {},
): Promise<Tensor[]> {
  const { device } = context;
  const companions = await openCompanions(stored, model);
  using embedding = await stored.loadWeights(model.embedTensors);
  const states = await embed(model, embedding, batches, context);
  for (let index = 0; index < model.blocks; index++) {
    try {
      throwIfStopped?.();
      using block = await loadStoredBlock(stored, model, index, context, companions);
      for (const [i, x] of states.entries()) {
        states[i] = device.scope(() => block.run(x));
        x.dispose();
        await device.synchronize();
      }
    } catch (error) {
      disposeAll(states);
      throw error;
    }
    onProgress?.(index + 1, model.blocks + 1);
  }
  return states;
}

/** Summed over all predicted tokens of the mini-batches, given their hidden states after the last block. */
export async function negativeLogLikelihood(
  stored: StoredModel,
  model: LanguageModel,
  batches: readonly Int32Array[],
  states: readonly Tensor[],
  context: BlockContext,
): Promise<number> {
  const { device, sequence } = context;
  using head = await stored.loadWeights(model.headTensors);
  let total = 0;
  for (const [i, ids] of batches.entries()) {
    const state = states[i];
    if (state === undefined) throw new RangeError('A mini-batch without hidden states.');
    // The next token of each position; the last of a window predicts nothing.
    const targets = Int32Array.from(ids, (_, row) =>
      row % sequence === sequence - 1 ? -1 : (ids[row + 1] ?? -1),
    );
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
  }
  return total;
}
