// Top-1 and top-5 accuracy of a classifier on a set of labelled images: how many labels rank first, and among the first
// five. Several devices, each with the whole model, share the mini-batches.

import { expectNotAborted } from '../errors.js';
import { batchSize, dealt, onPlaces, type PerDevice } from '../execution/index.js';
import type { ImageSet } from '../images/index.js';
import type { VisionModel } from '../models/index.js';
import type { ImageClassifier } from './image-classifier.js';

interface AccuracyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called at the start and after each mini-batch, with how many images are done. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface Accuracy {
  /** Percent of images whose label is the most likely class. */
  readonly top1: number;
  /** Percent whose label is among the five most likely. */
  readonly top5: number;
  readonly count: number;
}

/** Errors: ERR_ABORTED, and those of reading images. */
export async function evaluateAccuracy(
  classifiers: PerDevice<ImageClassifier>,
  model: VisionModel,
  set: ImageSet,
  { signal, onProgress }: AccuracyOptions = {},
): Promise<Accuracy> {
  const count = set.labels.length;
  const batches = batchesOf(count, batchSize(model.sequence));
  const places = dealt(classifiers.devices, batches);
  let done = 0;
  onProgress?.(done, count);
  const ranks = await onPlaces(places, async (i, device) => {
    expectNotAborted(signal, 'The evaluation');
    const batch = batches[i] ?? [];
    const found = await ranksOf(batch, set, classifiers.of(device), model);
    done += batch.length;
    onProgress?.(done, count);
    return found;
  });
  const percentBelow = (limit: number) =>
    (100 * ranks.flat().filter((rank) => rank < limit).length) / count;
  return { top1: percentBelow(1), top5: percentBelow(5), count };
}

/** The numbers below `count` in mini-batches. */
function batchesOf(count: number, size: number): number[][] {
  return Array.from({ length: Math.ceil(count / size) }, (_, batch) =>
    Array.from({ length: Math.min(size, count - batch * size) }, (_image, i) => batch * size + i),
  );
}

/** Of the label of each image of a mini-batch: how many classes are above it. */
async function ranksOf(
  batch: readonly number[],
  set: ImageSet,
  classifier: ImageClassifier,
  { classes }: VisionModel,
): Promise<number[]> {
  const logits = await classifier.logits(await set.pixels(batch));
  return batch.map((image, row) =>
    rankOf(logits.subarray(row * classes, (row + 1) * classes), set.labels[image] ?? 0),
  );
}

/** Classes that are more likely than the label; of equals the one with the lower number, as argmax has it. */
function rankOf(logits: Float32Array, label: number): number {
  const own = logits[label] ?? Number.NaN;
  return logits.reduce(
    (rank, value, index) => rank + (value > own || (value === own && index < label) ? 1 : 0),
    0,
  );
}
