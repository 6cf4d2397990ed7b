// What a search judges a quantized model by, on the held-out calibration samples alone: one scorer for each kind of model.
// The lower a score, the better.

import type { Tensor } from '../../device/index.js';
import {
  classLogits,
  finalStates,
  meanDivergence,
  negativeLogLikelihood,
} from '../../evaluate/index.js';
import { checkpointModel, disposeAll, PerDevice, type StoredModel } from '../../execution/index.js';
import { isLanguageModel, type LanguageModel, type VisionModel } from '../../models/index.js';
import { batchesOf, type CalibrationData } from '../calibration-data.js';
import type { Run } from '../run.js';

/** One of the two, by the kind of model. */
export interface HeldOutScore {
  /** Of a language model. */
  readonly heldOutPerplexity?: number;
  /**
   * Of an image classifier: KL(p ‖ q) in nats, p the float model's class probabilities, q the quantized model's, mean over
   * images; 0 where they are the same.
   */
  readonly heldOutDivergence?: number;
}

export interface Scorer {
  readonly metric: keyof HeldOutScore;
  /** `states` after the last block, one tensor a held-out mini-batch, on its device; `stored` holds the head. */
  score(stored: PerDevice<StoredModel>, states: readonly Tensor[]): Promise<number>;
}

/** The value, whatever the metric. */
export function scoreOf({ heldOutPerplexity, heldOutDivergence }: HeldOutScore): number {
  return heldOutPerplexity ?? heldOutDivergence ?? Number.NaN;
}

export async function openScorer(run: Run, data: CalibrationData): Promise<Scorer> {
  const { model } = run;
  return isLanguageModel(model)
    ? perplexityScorer(run, model, data)
    : await divergenceScorer(run, model as VisionModel, data);
}

function perplexityScorer({ context }: Run, model: LanguageModel, data: CalibrationData): Scorer {
  const ids = batchesOf(data).heldOut.filter((batch) => batch instanceof Int32Array);
  const predictions = data.heldOut.length * (context.sequence - 1);
  return {
    metric: 'heldOutPerplexity',
    score: async (stored, states) =>
      Math.exp(
        (await negativeLogLikelihood(stored, model, ids, states, context.sequence)) / predictions,
      ),
  };
}

/** The float model's predictions are made once. */
async function divergenceScorer(
  { devices, checkpoint, context }: Run,
  model: VisionModel,
  data: CalibrationData,
): Promise<Scorer> {
  using float = PerDevice.make(devices, (device) => checkpointModel(device, checkpoint, model));
  const states = await finalStates(float, model, batchesOf(data).heldOut, context.sequence);
  try {
    const expected = await classLogits(float, model, states);
    return {
      metric: 'heldOutDivergence',
      score: async (stored, reached) =>
        meanDivergence(expected, await classLogits(stored, model, reached), model.classes),
    };
  } finally {
    disposeAll(states);
  }
}
