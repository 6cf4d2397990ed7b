// The accuracy of an image classifier, named by directory or hub id, on labelled images. Labels and headers of all sets
// are checked before the first image is classified.

import { basename } from 'node:path';
import { Device, type Precision } from '../device/index.js';
import { BallastError } from '../errors.js';
import { batchSize } from '../execution/index.js';
import { type ModelFiles, openModelFiles } from '../export/index.js';
import { type ImageSet, openImages } from '../images/index.js';
import { isVisionModel, readVisionModel, type VisionModel } from '../models/index.js';
import {
  checkOptions,
  isFunction,
  isListOfStrings,
  isOneOf,
  isSignal,
  isString,
  isWhole,
} from '../option-checks.js';
import { type DownloadEvent, type FetchOptions, fetchModel } from './fetch-model.js';
import { ImageClassifier } from './image-classifier.js';

export interface EvaluateImagesOptions extends FetchOptions {
  /** Sets of labelled images: a directory with a folder for each class, a list file, or a .safetensors file. */
  readonly images: readonly string[];
  /** Device name; default 'cpu'. */
  readonly device?: string;
  /** Compute threads of a CPU device; default one per processor. */
  readonly threads?: number;
  /** How matrix products are formed; default 'float32'. */
  readonly precision?: Precision;
  /** Called as work goes on; never after the promise has settled. */
  readonly onProgress?: (event: EvaluateImagesEvent) => void;
}

export type EvaluateImagesEvent =
  | DownloadEvent
  /** Images of one set. */
  | {
      readonly type: 'step';
      readonly images: string;
      readonly done: number;
      readonly total: number;
    };

export interface ImageResult {
  /** File or folder name without what leads to it. */
  readonly images: string;
  /** Percent of images whose label is the most likely class. */
  readonly top1: number;
  /** Percent whose label is among the five most likely. */
  readonly top5: number;
  readonly count: number;
}

export interface ImageEvaluationReport {
  /** As it was passed. */
  readonly model: string;
  /** In the order of `images`. */
  readonly results: readonly ImageResult[];
}

export const imageEvaluationDefaults = { device: 'cpu', precision: 'float32' } as const;

const checks = {
  images: isListOfStrings,
  device: (value: unknown) =>
    isString(value) === undefined ? undefined : 'the name of one device',
  threads: isWhole(1, 1024),
  precision: isOneOf('float32', 'bfloat16'),
  token: isString,
  signal: isSignal,
  onProgress: isFunction,
};

/** Errors: ERR_ARGUMENT for an unknown option, a missing one, or a value out of range. */
export function checkEvaluateImagesOptions(options: EvaluateImagesOptions): void {
  checkOptions(options, checks, ['images']);
}

/**
 * Top-1 and top-5 accuracy. Errors: ERR_ARGUMENT, ERR_CHECKPOINT, ERR_DATA (images that cannot be used),
 * ERR_UNSUPPORTED (a model that reads no images; sharp missing), ERR_ABORTED, ERR_IO.
 *
 *     const { results } = await evaluateImages('./vit', { images: ['./imagenet/val'] });
 */
export async function evaluateImages(
  model: string,
  options: EvaluateImagesOptions,
): Promise<ImageEvaluationReport> {
  checkEvaluateImagesOptions(options);
  const { signal, onProgress, threads } = options;
  const directory = await fetchModel(model, options, onProgress);
  const files = await openModelFiles(directory);
  const vision = readClassifier(files);
  const sets: ImageSet[] = [];
  const device = Device.open(options.device ?? imageEvaluationDefaults.device, {
    precision: options.precision ?? imageEvaluationDefaults.precision,
    ...(threads === undefined ? {} : { threads }),
  });
  const cancel = () => device.cancel();
  signal?.addEventListener('abort', cancel);
  try {
    for (const path of options.images) sets.push(await openImages(path, directory, vision));
    using classifier = await ImageClassifier.load(device, await files.open(device, vision), vision);
    const results: ImageResult[] = [];
    for (const [i, set] of sets.entries()) {
      const images = basename(options.images[i] ?? '');
      const tell = (done: number, total: number) =>
        onProgress?.({ type: 'step', images, done, total });
      results.push({ images, ...(await accuracy(classifier, vision, set, { signal, tell })) });
    }
    return { model, results };
  } catch (error) {
    // Whatever the cancelled device reports first, the cause is the signal.
    expectNotAborted(signal);
    throw error;
  } finally {
    signal?.removeEventListener('abort', cancel);
    for (const set of sets) await set.close();
    device.close();
  }
}

function readClassifier({ config, tensors }: ModelFiles): VisionModel {
  if (!isVisionModel(config)) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected an image classifier to evaluate on images but model_type in config.json is ${JSON.stringify(config.model_type)}; ` +
        'language models are evaluated on texts.',
    );
  }
  return readVisionModel(config, tensors);
}

/** Images whose labels have fewer classes above them count. */
const top = 5;

async function accuracy(
  classifier: ImageClassifier,
  { sequence, classes }: VisionModel,
  set: ImageSet,
  {
    signal,
    tell,
  }: { signal?: AbortSignal | undefined; tell: (done: number, total: number) => void },
): Promise<Omit<ImageResult, 'images'>> {
  const count = set.labels.length;
  const size = batchSize(sequence);
  let first = 0;
  let among = 0;
  tell(0, count);
  for (let begin = 0; begin < count; begin += size) {
    expectNotAborted(signal);
    const end = Math.min(begin + size, count);
    const indices = Array.from({ length: end - begin }, (_, i) => begin + i);
    const logits = await classifier.logits(await set.pixels(indices));
    for (const [row, index] of indices.entries()) {
      const rank = rankOf(
        logits.subarray(row * classes, (row + 1) * classes),
        set.labels[index] ?? 0,
      );
      if (rank === 0) first++;
      if (rank < top) among++;
    }
    tell(end, count);
  }
  return { top1: (100 * first) / count, top5: (100 * among) / count, count };
}

/** Classes that are more likely than the label; of equals the one with the lower number, as argmax has it. */
function rankOf(logits: Float32Array, label: number): number {
  const own = logits[label] ?? Number.NaN;
  return logits.reduce(
    (rank, value, index) => rank + (value > own || (value === own && index < label) ? 1 : 0),
    0,
  );
}

function expectNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new BallastError('ERR_ABORTED', 'The evaluation was aborted.');
}
