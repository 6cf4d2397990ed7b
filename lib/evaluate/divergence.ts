// How far a classifier's predictions are from those of another on the same images: the mean over images of the
// Kullback-Leibler divergence KL(p ‖ q) = Σ p (log p − log q) of class probabilities. It is the cross-entropy −Σ p log q but
// for the entropy of p, which only p decides; no labels are needed.

import type { Tensor } from '../device/index.js';
import type { PerDevice, StoredModel } from '../execution/index.js';
import type { VisionModel } from '../models/index.js';
import { throughHead } from './final-states.js';

/** Logits [images, classes] of each mini-batch, given its hidden states after the last block, on whatever device. */
export async function classLogits(
  stored: PerDevice<StoredModel>,
  model: VisionModel,
  states: readonly Tensor[],
): Promise<Float32Array[]> {
  return await throughHead(stored, model, states, async (_, state, head) => {
    const { device } = state;
    const context = { device, sequence: model.sequence };
    using logits = device.scope(() => model.head(state, head, context));
    return await logits.readFloat32();
  });
}

/** In nats, computed in float64; logits [images, classes] of mini-batches of the same images, of p and of q. */
export function meanDivergence(
  p: readonly Float32Array[],
  q: readonly Float32Array[],
  classes: number,
): number {
  let total = 0;
  let images = 0;
  for (const [batch, logits] of p.entries()) {
    const others = q[batch];
    if (others?.length !== logits.length) throw new RangeError('Logits of different images.');
    for (let row = 0; row < logits.length; row += classes) {
      total += divergence(
        logProbabilities(logits.subarray(row, row + classes)),
        logProbabilities(others.subarray(row, row + classes)),
      );
      images++;
    }
  }
  return total / images;
}

function divergence(p: Float64Array, q: Float64Array): number {
  return p.reduce((sum, own, i) => sum + Math.exp(own) * (own - (q[i] ?? 0)), 0);
}

function logProbabilities(logits: Float32Array): Float64Array {
  const top = Math.max(...logits);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - top), 0);
  return Float64Array.from(logits, (logit) => logit - top - Math.log(sum));
}
