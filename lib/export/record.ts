// What a result tells of itself in ballast-export.json: all that reading it back needs besides config.json.

import { isAbsolute, join } from 'node:path';
import { isRecord, readJsonObject } from '../checkpoint/bounded-json.js';
import { recordFile } from '../checkpoint/output/result-files.js';
import type { DType } from '../device/index.js';
import { BallastError } from '../errors.js';
import type { Grid } from './format.js';

export interface LinearDigest {
  /** What the weight is rounded to before it is digested. */
  readonly dtype: DType;
  /** SHA-256 of the weight [out, in] and the bias [out] in float32, zeros where there is none. */
  readonly sha256: string;
}

/** The content of ballast-export.json: all that reading a result needs besides config.json. */
export interface ExportRecord {
  readonly format: string;
  readonly grid: Grid;
  /** One entry a block, by the linear's name inside the block. */
  readonly blocks: readonly Readonly<Record<string, LinearDigest>>[];
  /** Of the files beside it, by their paths with slashes; absent where an earlier version wrote the result. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Error ERR_CHECKPOINT for a directory that is no result, or a damaged record. */
export async function expectRecord(directory: string): Promise<ExportRecord> {
  const record = await readRecord(directory);
  if (record !== undefined) return record;
  throw notAResult(directory, `it has no ${recordFile}; pass what ballast quantize has written`);
}

/** Undefined for a directory that is no result. Error ERR_CHECKPOINT for a damaged record. */
export async function readRecord(directory: string): Promise<ExportRecord | undefined> {
  const record = await readJsonObject(join(directory, recordFile));
  if (record === undefined) return undefined;
  const { format, grid, blocks, files = {} } = record;
  if (typeof format !== 'string' || !isRecord(grid) || !Array.isArray(blocks)) {
    throw notAResult(directory, `${recordFile} lacks format, grid or blocks`);
  }
  const odd = blocks.findIndex(
    (block) => !isRecord(block) || !Object.values(block).every(isDigest),
  );
  if (odd >= 0) throw notAResult(directory, `${recordFile} has no digests of block ${odd}`);
  if (!isRecord(files) || !Object.entries(files).every(isFileDigest)) {
    throw notAResult(directory, `${recordFile} has no digests of files that lie beside it`);
  }
  return record as unknown as ExportRecord;
}

function isDigest(value: unknown): value is LinearDigest {
  return isRecord(value) && typeof value.dtype === 'string' && typeof value.sha256 === 'string';
}

function isFileDigest([name, digest]: [string, unknown]): boolean {
  return typeof digest === 'string' && !isAbsolute(name) && !name.split(/[/\\]/).includes('..');
}

export function notAResult(directory: string, problem: string): BallastError {
  return new BallastError(
    'ERR_CHECKPOINT',
    `Expected a result of ballast in ${directory} but ${problem}.`,
  );
}
