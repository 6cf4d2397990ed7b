// The perplexity of a model, named by directory or hub id, on text files. Everything that can be wrong about the
// texts is found before the first block is loaded; texts then run one after the other, each through all blocks.

import { basename } from 'node:path';
import { readDocuments } from '../calibration/documents.js';
import { evaluationWindows } from '../calibration/samples.js';
import { loadTokenizer } from '../checkpoint/tokenizer.js';
import { type DeviceNames, deviceNames, openDevices, type Precision } from '../device/index.js';
import { BallastError } from '../errors.js';
import { PerDevice } from '../execution/index.js';
import { openModelFiles } from '../export/index.js';
import { readModel } from '../models/index.js';
import {
  checkOptions,
  isFunction,
  isListOfStrings,
  isNames,
  isOneOf,
  isSignal,
  isString,
  isWhole,
} from '../option-checks.js';
import { type DownloadEvent, type FetchOptions, fetchModel } from './fetch-model.js';
import { evaluatePerplexity, type Perplexity } from './perplexity.js';

export interface EvaluateOptions extends FetchOptions {
  /** Files of text: .txt, .jsonl or .parquet. Documents of a file form one stream of tokens. */
  readonly texts: readonly string[];
  /** Tokens per window; default 2048 or what the model supports. */
  readonly sequenceLength?: number;
  /** Field of JSONL or column of parquet, or a path with dots to it; default 'text'. */
  readonly field?: string;
  /** A name of `listDevices`, 'cuda' for every GPU, or a list of names, which share the windows. Default 'cpu'. */
  readonly device?: DeviceNames;
  /** Compute threads of a CPU device; default one per processor. */
  readonly threads?: number;
  /** How matrix products are formed; default 'float32'. */
  readonly precision?: Precision;
  /** Called as work goes on; never after the promise has settled. */
  readonly onProgress?: (event: EvaluateEvent) => void;
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
  field: 'text',
  device: 'cpu',
  precision: 'float32',
} as const satisfies Partial<EvaluateOptions>;

/** Where the caller sets no sequence length: what perplexities are usually stated for. */
const usualSequenceLength = 2048;

const checks = {
  texts: isListOfStrings,
  sequenceLength: isWhole(2),
  field: isString,
  device: isNames,
  threads: isWhole(1, 1024),
  precision: isOneOf('float32', 'bfloat16'),
  token: isString,
  signal: isSignal,
  onProgress: isFunction,
};

/** Errors: ERR_ARGUMENT for an unknown option, a missing one, or a value out of range. */
export function checkEvaluateOptions(options: EvaluateOptions): void {
  checkOptions(options, checks, ['texts']);
  deviceNames(options.device ?? evaluationDefaults.device);
}

/**
 * A model directory, or a result of any format: packed codes are dequantized as they are. Perplexity over consecutive
 * non-overlapping windows, the last partial one dropped: exp of the mean negative log-likelihood of each window's tokens 2 … T. Errors: ERR_ARGUMENT, ERR_CHECKPOINT, ERR_DATA (a text that is
 * unreadable or shorter than one window), ERR_UNSUPPORTED (an unknown model type), ERR_ABORTED, ERR_IO.
 *
 *     const { results } = await evaluate('./model', { texts: ['test.txt'], sequenceLength: 512 });
 */
export async function evaluate(model: string, options: EvaluateOptions): Promise<EvaluationReport> {
  checkEvaluateOptions(options);
  try {
    return await evaluateTexts(model, options);
  } catch (error) {
    // Whatever a closed tokenizer or a cancelled device reports first, the cause is the signal.
    expectNotAborted(options.signal);
    throw error;
  }
}

async function evaluateTexts(model: string, options: EvaluateOptions): Promise<EvaluationReport> {
  const { texts, threads, signal, onProgress } = options;
  const { device, precision, field } = { ...evaluationDefaults, ...defined(options) };

  const directory = await fetchModel(model, options, onProgress);
  const files = await openModelFiles(directory);
  const language = readModel(files.config, files.tensors);
  const sequenceLength =
    options.sequenceLength ?? Math.min(usualSequenceLength, language.maxPositions);
  const windows = await readWindows(directory, texts, field, sequenceLength, signal);

  const devices = openDevices(device, {
    precision,
    ...(threads === undefined ? {} : { threads }),
  });
  const cancel = () => {
    for (const opened of devices) opened.cancel();
  };
  signal?.addEventListener('abort', cancel);
  try {
    using stored = await PerDevice.load(devices, (place) => files.open(place, language));
    const results: TextResult[] = [];
    for (const [i, path] of texts.entries()) {
      const text = basename(path);
      const tell = (done: number, total: number) =>
        onProgress?.({ type: 'step', text, done, total });
      tell(0, language.blocks + 1);
      const options = { signal, onProgress: tell };
      const result = await evaluatePerplexity(stored, language, windows[i] ?? [], options);
      results.push({ text, ...result });
    }
    return { model, sequenceLength, results };
  } finally {
    signal?.removeEventListener('abort', cancel);
    for (const opened of devices) opened.close();
  }
}

/** The windows of each text. */
async function readWindows(
  directory: string,
  texts: readonly string[],
  field: string,
  sequenceLength: number,
  signal: AbortSignal | undefined,
): Promise<Int32Array[][]> {
  const tokenizer = await loadTokenizer(directory, signal);
  try {
    const windows: Int32Array[][] = [];
    for (const path of texts) {
      const documents = await readDocuments(path, { field, signal });
      const tokens = await Promise.all(documents.map((document) => tokenizer.encode(document)));
      windows.push(windowsOf(path, tokens, sequenceLength));
    }
    return windows;
  } finally {
    await tokenizer.close();
  }
}

function windowsOf(path: string, tokens: Int32Array[], sequenceLength: number): Int32Array[] {
  try {
    return evaluationWindows(tokens, sequenceLength);
  } catch (error) {
    if (!(error instanceof BallastError)) throw error;
    throw new BallastError(error.code, `${path}: ${error.message}`, { cause: error });
  }
}

function expectNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new BallastError('ERR_ABORTED', 'The evaluation was aborted.');
}

/** Without the keys that are there but undefined, which would hide defaults. */
function defined<T extends object>(options: T): T {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as T;
}
