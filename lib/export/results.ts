// The public functions over finished results: another format of the same run, and the check that files hold what was
// quantized.

import type { FetchOptions } from '../checkpoint/hub/fetch-model.js';
import { type Client, clients } from '../clients.js';
import { type Device, openDevices } from '../device/index.js';
import { expectNotAborted } from '../errors.js';
import {
  checkOptions,
  defined,
  expectText,
  isBoolean,
  isFunction,
  isOneOf,
  isSignal,
  isString,
  isThreadCount,
  isWhole,
} from '../option-checks.js';
import { sharedDefaults } from '../shared-defaults.js';
import { convert } from './convert.js';
import { expectEmbeddingBits } from './expect-grid.js';
import { verifyFiles } from './file-digests.js';
import { openResult } from './opened-result.js';
import { findFormat, formats } from './registry.js';
import { verifyResult } from './verification.js';

export interface ResultEvent {
  /** Blocks. */
  readonly done: number;
  readonly total: number;
}

export interface VerifyOptions {
  /** Device name; default 'cpu'. */
  readonly device?: string;
  /** Compute threads of a CPU device; default one per processor. */
  readonly threads?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: ResultEvent) => void;
}

export interface ExportOptions extends VerifyOptions, FetchOptions {
  /** Directory that receives the result; must not exist or be empty, unless `overwrite`. */
  readonly output: string;
  /** Name of a format. */
  readonly format: string;
  /** What will load the result; biases that it would not read are refused. Default: the format's first client. */
  readonly client?: Client;
  /** The model type to write the model as, where that computes exactly the same; default its own. */
  readonly architecture?: string;
  /** Replace an existing result; default false. */
  readonly overwrite?: boolean;
  /** Bytes of a weight file at most; default 5 GB. */
  readonly maxShardBytes?: number;
  /** Bits of embedding and head in a GGUF file: 16 (default), or 8, as llama.cpp's Q8_0. */
  readonly embeddingBits?: number;
}

export interface Verification {
  /** As it was passed. */
  readonly result: string;
  readonly format: string;
  /** How many linears were read back and found to be those that were quantized. */
  readonly linears: number;
  /**
   * How many files `verify` found to be as they were written; absent for a result of an earlier version, which does not
   * tell how they were.
   */
  readonly files?: number;
}

export const resultDefaults = {
  device: 'cpu',
  overwrite: false,
  maxShardBytes: sharedDefaults.maxShardBytes,
  embeddingBits: sharedDefaults.embeddingBits,
} as const satisfies Partial<ExportOptions>;

const verifyChecks = {
  device: isString,
  threads: isThreadCount,
  signal: isSignal,
  onProgress: isFunction,
};

const exportChecks = {
  ...verifyChecks,
  output: isString,
  format: isString,
  client: isOneOf(...clients),
  architecture: isString,
  overwrite: isBoolean,
  maxShardBytes: isWhole(1),
  embeddingBits: isWhole(8, 16),
  token: isString,
};

/** Errors: ERR_ARGUMENT for an unknown option, a missing one, or a value out of range. */
export function checkVerifyOptions(options: VerifyOptions): void {
  checkOptions(options, verifyChecks);
}

/** As `checkVerifyOptions`. */
export function checkExportOptions(options: ExportOptions): void {
  checkOptions(options, exportChecks, ['output', 'format']);
  const { format, embeddingBits = resultDefaults.embeddingBits } = options;
  expectEmbeddingBits(findFormat(format), embeddingBits);
}

/**
 * Reads a result back, dequantizes it and compares it with the digests taken when it was quantized; then what else its
 * files hold, embeddings, norms, headers, codes, with the digests taken when they were written. Errors:
 * ERR_CHECKPOINT for what differs or is no result, ERR_ABORTED, ERR_IO.
 *
 *     const { linears } = await verify('./model-4bit');
 */
export async function verify(result: string, options: VerifyOptions = {}): Promise<Verification> {
  expectText(result, 'the directory of a result');
  checkVerifyOptions(options);
  return withDevice(options, async (device, onBlock, throwIfAborted) => {
    const opened = await openResult(device, result, formats);
    const { format, files } = opened.record;
    const linears = await verifyResult(opened, onBlock);
    if (files === undefined) return { result, format, linears };
    return { result, format, linears, files: await verifyFiles(result, opened, throwIfAborted) };
  });
}

/**
 * Writes a result of `quantize` in another format, without calibrating again. Errors: ERR_UNSUPPORTED where the format
 * cannot take over codes, grid or biases exactly, ERR_ARGUMENT, ERR_CHECKPOINT, ERR_ABORTED, ERR_IO; after an error
 * nothing is left at `options.output`.
 *
 *     await exportResult('./model-4bit', { format: 'gguf', output: './model-gguf' });
 */
export async function exportResult(result: string, options: ExportOptions): Promise<Verification> {
  expectText(result, 'the directory of a result');
  checkExportOptions(options);
  const { output, overwrite, maxShardBytes, embeddingBits } = {
    ...resultDefaults,
    ...defined(options),
  };
  const format = findFormat(options.format);
  return withDevice(options, async (device, onBlock, throwIfAborted) => {
    const linears = await convert({
      device,
      directory: result,
      format,
      client: options.client,
      architecture: options.architecture,
      output,
      overwrite,
      maxShardBytes,
      embeddingBits,
      onBlock,
      throwIfAborted,
      fetching: options,
    });
    return { result: output, format: format.name, linears };
  });
}

async function withDevice<T>(
  { device: name = resultDefaults.device, threads, signal, onProgress }: VerifyOptions,
  body: (
    device: Device,
    onBlock: (done: number, total: number) => void,
    throwIfAborted: () => void,
  ) => Promise<T>,
): Promise<T> {
  const throwIfAborted = () => expectNotAborted(signal, 'The work on a result');
  throwIfAborted();
  using opened = openDevices(name, { threads, signal });
  const onBlock = (done: number, total: number) => {
    throwIfAborted();
    onProgress?.({ done, total });
  };
  try {
    return await body(opened.devices[0] as Device, onBlock, throwIfAborted);
  } catch (error) {
    // Whatever the cancelled device reports first, the cause is the signal.
    throwIfAborted();
    throw error;
  }
}
