// Calibration samples for a model, from a file of text.

import { readDocuments } from '../calibration/documents.js';
import { calibrationSamples } from '../calibration/samples.js';
import { loadTokenizer } from '../checkpoint/tokenizer.js';
import { BallastError } from '../errors.js';
import type { LanguageModel } from '../models/index.js';
import type { ResolvedOptions } from './options.js';

/** What users of the field calibrate on where the model allows it. */
const defaultSequenceLength = 2048;

export async function readSamples(
  directory: string,
  model: LanguageModel,
  options: ResolvedOptions,
): Promise<Int32Array[]> {
  const sequenceLength =
    options.sequenceLength ?? Math.min(defaultSequenceLength, model.maxPositions);
  if (sequenceLength > model.maxPositions) {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected at most ${model.maxPositions} for sequenceLength, which is what the model supports, but received ${sequenceLength}.`,
    );
  }
  const documents = await readDocuments(options.calibration, { field: options.field });
  const tokenizer = await loadTokenizer(directory);
  try {
    const tokens: Int32Array[] = [];
    for (const document of documents) tokens.push(await tokenizer.encode(document));
    return calibrationSamples(tokens, { ...options, sequenceLength });
  } finally {
    await tokenizer.close();
  }
}
