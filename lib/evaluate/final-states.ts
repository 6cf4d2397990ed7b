// Mini-batches through all blocks of a model: it moves through memory block by block while the hidden states of all
// mini-batches stay. Several devices each take a share of the mini-batches through it, and through the head afterwards.

import type { Tensor } from '../device/index.js';
import { aborted, expectNotAborted } from '../errors.js';
import {
  advance,
  dealt,
  disposeAll,
  disposeEach,
  embed,
  type Input,
  loadStoredBlock,
  onEach,
  onPlaces,
  openCompanions,
  PerDevice,
  type StoredModel,
} from '../execution/index.js';
import type {
  BlockContext,
  BlockModel,
  LanguageModel,
  VisionModel,
  Weights,
} from '../models/index.js';

export interface EvaluationOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after each block and after the head, which are `total` steps together. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

interface BlockProgress extends Pick<EvaluationOptions, 'onProgress'> {
  /** Called before each block. */
  readonly throwIfStopped?: () => void;
}

/**
 * Hidden states after the last block, one tensor a mini-batch, each on the device that it was dealt to. Errors:
 * ERR_ABORTED, and those of loading.
 */
export async function finalStates(
  stored: PerDevice<StoredModel>,
  model: BlockModel,
  batches: readonly Input[],
  sequence: number,
  { signal, onProgress }: EvaluationOptions = {},
): Promise<Tensor[]> {
  const places = dealt(stored.devices, batches);
  const reached: Tensor[] = [];
  try {
    await onEach([...new Set(places)], async (device, hasFailed) => {
      const own = [...batches.keys()].filter((batch) => places[batch] === device);
      const inputs = own.map((batch) => batches[batch] as Input);
      const context = { device, sequence };
      const states = await runBlocks(stored.of(device), model, inputs, context, {
        throwIfStopped: () => {
          expectNotAborted(signal, 'The evaluation');
          if (hasFailed()) throw aborted('The evaluation');
        },
        onProgress: device === places[0] ? onProgress : undefined,
      });
      for (const [i, batch] of own.entries()) reached[batch] = states[i] as Tensor;
    });
    return reached;
  } catch (error) {
    disposeEach(reached);
    throw error;
  }
}

/**
 * What `body` makes of each mini-batch's hidden states after the last block and the head's tensors, both on the device where
 * the states lie. Results in the mini-batches' order.
 */
export async function throughHead<Result>(
  stored: PerDevice<StoredModel>,
  { headTensors }: LanguageModel | VisionModel,
  states: readonly Tensor[],
  body: (batch: number, state: Tensor, head: Weights) => Promise<Result>,
): Promise<Result[]> {
  const places = states.map(({ device }) => device);
  using heads = await PerDevice.load([...new Set(places)], (device) =>
    stored.of(device).loadWeights(headTensors),
  );
  return await onPlaces(places, (batch, device) =>
    body(batch, states[batch] as Tensor, heads.of(device)),
  );
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
      await advance(device, block, states);
    } catch (error) {
      disposeAll(states);
      throw error;
    }
    onProgress?.(index + 1, model.blocks + 1);
  }
  return states;
}
