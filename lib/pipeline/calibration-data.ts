// Calibration samples for a model: windows of a text, or images.

import { calibrationSamples, sampledPlaces } from '../calibration/samples.js';
import { readTokens } from '../calibration/tokens.js';
import { loadTokenizer } from '../checkpoint/tokenizer/tokenizer.js';
import { BallastError } from '../errors.js';
import { type Input, miniBatches } from '../execution/index.js';
import { openImages } from '../images/index.js';
import { joinedLength } from '../joined.js';
import {
  type BlockModel,
  isLanguageModel,
  type LanguageModel,
  type VisionModel,
} from '../models/index.js';
import { sharedDefaults } from '../shared-defaults.js';
import { batchTokensOf } from './memory/batch-tokens.js';
import type { ResolvedOptions } from './options/options.js';

export interface CalibrationData {
  /** Samples that are fitted on, all of one length. */
  readonly fitted: readonly Input[];
  /** Samples that only judge what was fitted. */
  readonly heldOut: readonly Input[];
  /** Tokens of a sample. */
  readonly sequence: number;
  /** Of a mini-batch at most, but for a sample that has more. */
  readonly batchTokens: number;
}

/** Both kinds in mini-batches. */
export function batchesOf({ fitted, heldOut, sequence, batchTokens }: CalibrationData) {
  return {
    fitted: miniBatches(fitted, batchTokens, sequence),
    heldOut: miniBatches(heldOut, batchTokens, sequence),
  };
}

/**
 * Reads the calibration file. Held-out samples are drawn besides the fitted ones where there are enough, and out of
 * them where there are not. When `signal` fires the reading ends, with whatever error.
 */
export function readCalibrationData(
  directory: string,
  model: BlockModel,
  options: ResolvedOptions,
  signal?: AbortSignal,
): Promise<CalibrationData> {
  return isLanguageModel(model)
    ? readTextSamples(directory, model, options, signal)
    : readImageSamples(directory, model as VisionModel, options, signal);
}

/** Tokens of a window. Error ERR_ARGUMENT for one that is too long for the model. */
export function sequenceLengthOf(
  { maxPositions }: LanguageModel,
  { sequenceLength = Math.min(sharedDefaults.sequenceLength, maxPositions) }: ResolvedOptions,
): number {
  if (sequenceLength <= maxPositions) return sequenceLength;
  throw new BallastError(
    'ERR_ARGUMENT',
    `Expected at most ${maxPositions} for sequenceLength, which is what the model supports, but received ${sequenceLength}.`,
  );
}

/** Windows of tokens. */
async function readTextSamples(
  directory: string,
  model: LanguageModel,
  options: ResolvedOptions,
  signal?: AbortSignal,
): Promise<CalibrationData> {
  const sequenceLength = sequenceLengthOf(model, options);
  const { vocabularySize: modelTokens } = model;
  const tokenizer = await loadTokenizer(directory, { signal, modelTokens });
  const { calibration, field, samples, sampling, seed } = options;
  const judges = judgesOf(options);
  // Samples at random are drawn from all of the text.
  const least =
    sampling === 'random' ? Number.POSITIVE_INFINITY : (samples + judges) * sequenceLength;
  const tokens = await readTokens(tokenizer, calibration, { field, least, signal }).finally(() =>
    tokenizer.close(),
  );
  const windows = Math.floor(joinedLength(tokens) / sequenceLength);
  const drawn = windows >= samples + judges ? samples + judges : samples;
  const how = { samples: drawn, sequenceLength, sampling, seed };
  const all = calibrationSamples(tokens, how, calibration);
  return parted(all, sequenceLength, options);
}

/** Images, whose labels do not matter. */
async function readImageSamples(
  directory: string,
  model: VisionModel,
  options: ResolvedOptions,
  signal?: AbortSignal,
): Promise<CalibrationData> {
  const { calibration, samples, sampling, seed } = options;
  if (options.sequenceLength !== undefined) {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected no sequenceLength for an image classifier, whose images have ${model.sequence} tokens, but received ${options.sequenceLength}.`,
    );
  }
  const set = await openImages(calibration, directory, model);
  try {
    const count = set.labels.length;
    const judges = judgesOf(options);
    const drawn = count >= samples + judges ? samples + judges : samples;
    if (count < drawn) {
      throw new BallastError(
        'ERR_DATA',
        `Expected ${drawn} images for calibration but ${calibration} has ${count}; lower samples or add images.`,
      );
    }
    const random = () => sampledPlaces(count, drawn, seed);
    const places = sampling === 'random' ? random() : Array.from({ length: drawn }, (_, i) => i);
    const pixels = await set.pixels(places, signal);
    const size = pixels.length / drawn;
    const all = places.map((_, i) => pixels.subarray(i * size, (i + 1) * size));
    return parted(all, model.sequence, options);
  } finally {
    await set.close();
  }
}

/** How many samples judge what the others were fitted to. */
export function judgesOf({ samples, heldOut }: ResolvedOptions): number {
  return heldOut === 0 ? 0 : Math.max(1, Math.round(samples * heldOut));
}

function parted(
  all: readonly Input[],
  sequence: number,
  options: ResolvedOptions,
): CalibrationData {
  const judges = judgesOf(options);
  const fitted = all.length - judges;
  if (fitted > 0) {
    const batchTokens = batchTokensOf(options, all.length * sequence);
    return { fitted: all.slice(0, fitted), heldOut: all.slice(fitted), sequence, batchTokens };
  }
  throw new BallastError(
    'ERR_DATA',
    `Expected more than ${judges} calibration samples, of which ${judges} are held out, but received ${all.length}; ` +
      'take more samples, more data, or lower heldOut.',
  );
}
