// The perplexity of a model, named by directory or hub id, on text files. Everything that can be wrong about the
// texts is found before the first block is loaded; texts then run one after the other, each through all blocks.

import { basename } from 'node:path';
import { evaluationWindows } from '../calibration/samples.js';
import { readTokens } from '../calibration/tokens.js';
import { type DownloadEvent, fetchModel } from '../checkpoint/hub/fetch-model.js';
import { loadTokenizer, type Tokenizer } from '../checkpoint/tokenizer/tokenizer.js';
import { expectNotAborted } from '../errors.js';
import { PerDevice } from '../execution/index.js';
import { openModelFiles } from '../export/index.js';
import { readModel } from '../models/index.js';
import { isListOfStrings, isString, isWhole } from '../option-checks.js';
import { sharedDefaults } from '../shared-defaults.js';
import { checkJobOptions, type JobOptions, jobDefaults, openJobDevices } from './job-options.js';
import { evaluatePerplexity, type Perplexity } from './perplexity.js';

export interface EvaluateOptions extends JobOptions<EvaluateEvent> {
  /** Files of text: .txt, .jsonl or .parquet. Documents of a file form one stream of tokens. */
  readonly texts: readonly string[];
  /** Tokens per window; default 2048 or what the model supports. */
  readonly sequenceLength?: number;
  /** Field of JSONL or column of parquet, or a path with dots to it; default 'text'. */
  readonly field?: string;
}

export type EvaluateEvent =
  | DownloadEvent
  /** Steps of one text: its blocks, and the head. */
  | { readonly type: 'step'; readonly text: string; readonly done: number; readonly total: number };

export interface TextResult extends Perplexity {
  /** File name without its folder. */
  readonly text: string;
}

export interface EvaluationReport {
  /** As it was passed. */
  readonly model: string;
  readonly sequenceLength: number;
  /** In the order of `texts`; `tokens` counts predicted tokens, one fewer per window than it has. */
  readonly results: readonly TextResult[];
}

export const evaluationDefaults = {
  field: sharedDefaults.field,
  ...jobDefaults,
} as const satisfies Partial<EvaluateOptions>;

const checks = {
  texts: isListOfStrings,
  sequenceLength: isWhole(2),
  field: isString,
};

/** Errors: ERR_ARGUMENT for an unknown option, a missing one, or a value out of range. */
export function checkEvaluateOptions(options: EvaluateOptions): void {
  checkJobOptions(options, checks, ['texts']);
}

/**
 * Perplexity of a model directory, or of a result of any format, whose packed codes are dequantized as they are: over
 * consecutive non-overlapping windows, the last partial one dropped, exp of the mean negative log-likelihood of each
 * window's tokens 2 … T. Errors: ERR_ARGUMENT, ERR_CHECKPOINT, ERR_DATA (a text that is unreadable or shorter than one
 * window), ERR_UNSUPPORTED (an unknown model type), ERR_ABORTED, ERR_IO.
 *
 *     const { results } = await evaluate('./model', { texts: ['test.txt'], sequenceLength: 512 });
 */
export async function evaluate(model: string, options: EvaluateOptions): Promise<EvaluationReport> {
  checkEvaluateOptions(options);
  try {
    return await evaluateTexts(model, options);
  } catch (error) {
    // Whatever a closed tokenizer or a cancelled device reports first, the cause is the signal.
    expectNotAborted(options.signal, 'The evaluation');
    throw error;
  }
}

async function evaluateTexts(model: string, options: EvaluateOptions): Promise<EvaluationReport> {
  const { texts, field = evaluationDefaults.field, signal, onProgress } = options;

  const directory = await fetchModel(model, options, onProgress);
  const files = await openModelFiles(directory);
  const language = readModel(files.config, files.tensors);
  const sequenceLength =
    options.sequenceLength ?? Math.min(sharedDefaults.sequenceLength, language.maxPositions);
  const windows = await readWindows(
    await loadTokenizer(directory, { signal, modelTokens: language.vocabularySize }),
    { texts, field, sequenceLength, signal },
  );

  using opened = openJobDevices(options);
  using stored = await PerDevice.load(opened.devices, (device) => files.open(device, language));
  const results: TextResult[] = [];
  for (const [i, path] of texts.entries()) {
    const text = basename(path);
    const tell = (done: number, total: number) => onProgress?.({ type: 'step', text, done, total });
    tell(0, language.blocks + 1);
    const how = { signal, onProgress: tell };
    const result = await evaluatePerplexity(stored, language, windows[i] ?? [], how);
    results.push({ text, ...result });
  }
  return { model, sequenceLength, results };
}

type TextOptions = Required<Pick<EvaluateOptions, 'texts' | 'field' | 'sequenceLength'>> & {
  readonly signal: AbortSignal | undefined;
};

/** The windows of each text; closes the tokenizer. */
async function readWindows(
  tokenizer: Tokenizer,
  { texts, field, sequenceLength, signal }: TextOptions,
): Promise<Int32Array[][]> {
  try {
    const windows: Int32Array[][] = [];
    for (const path of texts) {
      const tokens = await readTokens(tokenizer, path, { field, signal });
      windows.push(evaluationWindows(tokens, sequenceLength, path));
    }
    return windows;
  } finally {
    await tokenizer.close();
  }
}
