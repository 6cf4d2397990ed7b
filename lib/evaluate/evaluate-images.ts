// The accuracy of an image classifier, named by directory or hub id, on labelled images. Labels and headers of all sets
// are checked before the first image is classified.

import { basename } from 'node:path';
import { type DownloadEvent, fetchModel } from '../checkpoint/hub/fetch-model.js';
import { BallastError, expectNotAborted } from '../errors.js';
import { PerDevice } from '../execution/index.js';
import { type ModelFiles, openModelFiles } from '../export/index.js';
import { type ImageSet, openImages } from '../images/index.js';
import { isVisionModel, readVisionModel, type VisionModel } from '../models/index.js';
import { isListOfStrings } from '../option-checks.js';
import { type Accuracy, evaluateAccuracy } from './accuracy.js';
import { ImageClassifier } from './image-classifier.js';
import { checkJobOptions, type JobOptions, openJobDevices } from './job-options.js';

export interface EvaluateImagesOptions extends JobOptions<EvaluateImagesEvent> {
  /** Sets of labelled images: a directory with a folder for each class, a list file, or a .safetensors file. */
  readonly images: readonly string[];
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

export interface ImageResult extends Accuracy {
  /** File or folder name without what leads to it. */
  readonly images: string;
}

export interface ImageEvaluationReport {
  /** As it was passed. */
  readonly model: string;
  /** In the order of `images`. */
  readonly results: readonly ImageResult[];
}

/** Errors: ERR_ARGUMENT for an unknown option, a missing one, or a value out of range. */
export function checkEvaluateImagesOptions(options: EvaluateImagesOptions): void {
  checkJobOptions(options, { images: isListOfStrings }, ['images']);
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
  const { signal, onProgress } = options;
  const directory = await fetchModel(model, options, onProgress);
  const files = await openModelFiles(directory);
  const vision = readClassifier(files);
  const sets: ImageSet[] = [];
  using opened = openJobDevices(options);
  try {
    for (const path of options.images) sets.push(await openImages(path, directory, vision));
    using classifiers = await PerDevice.load(opened.devices, async (device) =>
      ImageClassifier.load(device, await files.open(device, vision), vision),
    );
    const results: ImageResult[] = [];
    for (const [i, set] of sets.entries()) {
      const images = basename(options.images[i] ?? '');
      const tell = (done: number, total: number) =>
        onProgress?.({ type: 'step', images, done, total });
      const how = { signal, onProgress: tell };
      results.push({ images, ...(await evaluateAccuracy(classifiers, vision, set, how)) });
    }
    return { model, results };
  } catch (error) {
    // Whatever the cancelled device reports first, the cause is the signal.
    expectNotAborted(signal, 'The evaluation');
    throw error;
  } finally {
    for (const set of sets) await set.close();
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
