// Calibration samples for a model, from a file of text.

import { readDocuments } from '../calibration/documents.js';
import { calibrationSamples } from '../calibration/samples.js';
import { loadTokenizer } from '../checkpoint/tokenizer.js';
import { BallastError } from '../errors.js';
import type { LanguageModel } from '../models/index.js';
import type { ResolvedOptions } from './options.js';

/** What users of the field calibrate on where the model allows it. */
const defaultSequenceLength = 2048;

export interface CalibrationData {
  /** Samples that are fitted on, all of one length. */
  readonly fitted: readonly Int32Array[];
  /** Samples that only judge what was fitted. */
  readonly heldOut: readonly Int32Array[];
}

/**
 * Reads and tokenizes the calibration file. Held-out samples are drawn besides the fitted ones where the text has
 * enough tokens, and out of them where it has not.
 */
export async function readCalibrationData(
  directory: string,
  model: LanguageModel,
  options: ResolvedOptions,
): Promise<CalibrationData> {
  const sequenceLength =
    options.sequenceLength ?? Math.min(defaultSequenceLength, model.maxPositions);
  if (sequenceLength > model.maxPositions) {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected at most ${model.maxPositions} for sequenceLength, which is what the model supports, but received ${sequenceLength}.`,
    );
  }
  const tokens = await readTokens(directory, options);
  const { samples, heldOut, sampling, seed } = options;
  const judges = heldOut === 0 ? 0 : Math.max(1, Math.round(samples * heldOut));
  const windows = Math.floor(tokens.reduce((sum, { length }) => sum + length, 0) / sequenceLength);
  const drawn = windows >= samples + judges ? samples + judges : samples;
  const all = calibrationSamples(tokens, { samples: drawn, sequenceLength, sampling, seed });
  if (all.length <= judges) {
    throw new BallastError(
      'ERR_DATA',
      `Expected more than ${judges} calibration samples, of which ${judges} are held out, but received ${all.length}; ` +
        'take more samples, a longer text, or lower heldOut.',
    );
  }
  return { fitted: all.slice(0, all.length - judges), heldOut: all.slice(all.length - judges) };
}

async function readTokens(directory: string, options: ResolvedOptions): Promise<Int32Array[]> {
  const documents = await readDocuments(options.calibration, { field: options.field });
  const tokenizer = await loadTokenizer(directory);
  try {
    const tokens: Int32Array[] = [];
    for (const document of documents) tokens.push(await tokenizer.encode(document));
    return tokens;
  } finally {
    await tokenizer.close();
  }
}
