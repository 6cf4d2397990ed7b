// What was written is what was quantized: each linear's dequantized weight and bias have a digest, taken from the
// tensors that the run executed. A result carries them in ballast-export.json, so it can be read back, dequantized
// and compared at any time, also after a conversion: the digest does not depend on the format.

import { isAbsolute, join } from 'node:path';
import { isRecord, readJsonObject } from '../checkpoint/bounded-json.js';
import { Checkpoint } from '../checkpoint/checkpoint.js';
import { recordFile } from '../checkpoint/result-files.js';
import type { Device, DType } from '../device/index.js';
import { BallastError } from '../errors.js';
import { type BlockModel, type Config, readBlockModel, shapeOf } from '../models/index.js';
import { digestThreads, sha256 } from './digest.js';
import type { ExportFormat, ExportReader, Grid, StoredLinear } from './format.js';

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

/** What is digested of a linear, in memory that the digest takes over. */
export interface DigestedValues {
  readonly dtype: DType;
  readonly weight: ArrayBuffer;
  readonly bias: ArrayBuffer;
}

/**
 * Memory that weights were read into, by the linear's name: those of the next block are as large, and memory that is
 * not fresh takes them several times as fast.
 */
export type ReadMemory = Map<string, ArrayBuffer>;

/** The linear's tensors may be disposed afterwards. */
export async function valuesOf(
  { weight, bias }: Pick<StoredLinear, 'weight' | 'bias'>,
  memory?: ArrayBuffer,
): Promise<DigestedValues> {
  const zeros = () => new ArrayBuffer(weight.rows * Float32Array.BYTES_PER_ELEMENT);
  return {
    dtype: weight.dtype,
    weight: await weight.read(memory),
    bias: (await bias?.read()) ?? zeros(),
  };
}

/** Leaves the weight's memory in `memory` under `name`. */
export async function digestOf(
  { dtype, weight, bias }: DigestedValues,
  name: string,
  memory: ReadMemory,
): Promise<LinearDigest> {
  const { digest, parts } = await sha256([weight, bias]);
  if (parts[0] !== undefined) memory.set(name, parts[0]);
  return { dtype, sha256: digest };
}

/** A finished result, ready to be read linear by linear. */
export interface OpenedResult {
  readonly config: Config;
  readonly model: BlockModel;
  readonly record: ExportRecord;
  readonly reader: ExportReader;
}

/** Errors: ERR_CHECKPOINT for a directory that is no result, ERR_UNSUPPORTED for an unknown model type. */
export async function openResult(
  device: Device,
  directory: string,
  formats: readonly ExportFormat[],
  options: { readonly record?: ExportRecord; readonly codes?: boolean } = {},
): Promise<OpenedResult> {
  const { record = await expectRecord(directory), codes = false } = options;
  const format = formats.find(({ name }) => name === record.format);
  if (format === undefined) throw notAResult(directory, `the format ${record.format} is not known`);
  const config = await readConfig(directory);
  const model = readBlockModel(config, await tensorNames(directory, format));
  if (record.blocks.length !== model.blocks) {
    throw notAResult(directory, `${recordFile} and config.json count blocks differently`);
  }
  const { grid } = record;
  const reader = await format.read({ device, directory, config, model, grid, codes });
  return { config, model, record, reader };
}

/**
 * Reads every linear back and compares; returns how many there are. The next ones are read while some are digested. Error
 * ERR_CHECKPOINT for the first that differs.
 */
export async function verifyResult(
  { model, record, reader }: OpenedResult,
  onBlock: (done: number, total: number) => void = () => {},
): Promise<number> {
  let count = 0;
  const memory: ReadMemory = new Map();
  const comparing: Promise<void>[] = [];
  for (const [block, digests] of record.blocks.entries()) {
    for (const spec of shapeOf(model, block).linears) {
      const expected = digests[spec.name];
      const name = `${model.blockName(block)}.${spec.name}`;
      const stored = await reader.linear(block, spec, expected?.dtype ?? 'float32');
      const free = memory.get(spec.name);
      memory.delete(spec.name);
      const values = await valuesOf(stored, free).finally(() => disposeStored(stored));
      const digest = digestOf(values, spec.name, memory);
      const compared = digest.then((found) => expectSame(name, found, expected));
      // Told in turn.
      compared.catch(() => {});
      comparing.push(compared);
      if (comparing.length > digestThreads) await comparing.shift();
      count++;
    }
    onBlock(block + 1, model.blocks);
  }
  for (const compared of comparing) await compared;
  return count;
}

/** Error ERR_CHECKPOINT for a linear that is not the one that was quantized. */
export async function expectDigest(
  name: string,
  stored: StoredLinear,
  expected: LinearDigest | undefined,
): Promise<void> {
  expectSame(name, await digestOf(await valuesOf(stored), name, new Map()), expected);
}

function expectSame(name: string, found: LinearDigest, expected: LinearDigest | undefined): void {
  if (found.sha256 === expected?.sha256) return;
  throw new BallastError(
    'ERR_CHECKPOINT',
    `${name}: the weight or bias that was read back is not the one that was quantized; the file is damaged or was ` +
      'changed: export it again.',
  );
}

export function disposeStored({ codes, weight, bias }: StoredLinear): void {
  for (const tensor of [...Object.values(codes ?? {}), weight, bias]) tensor?.dispose();
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

/** Error ERR_CHECKPOINT for a result without one. */
export async function readConfig(directory: string): Promise<Config> {
  const config = await readJsonObject(join(directory, 'config.json'));
  if (config !== undefined) return config;
  throw notAResult(directory, 'it has no config.json');
}

/** Names by which an architecture may tell variants apart; none where the weights are in no safetensors file. */
export async function tensorNames(
  directory: string,
  format: ExportFormat | undefined,
): Promise<ReadonlySet<string>> {
  if (format?.tensorNames !== undefined) return format.tensorNames(directory);
  const weights = await Checkpoint.open(directory).catch((error: unknown) => {
    if (error instanceof BallastError && error.code === 'ERR_CHECKPOINT') return undefined;
    throw error;
  });
  return new Set(weights?.tensors.keys());
}

function notAResult(directory: string, problem: string): BallastError {
  return new BallastError(
    'ERR_CHECKPOINT',
    `Expected a result of ballast in ${directory} but ${problem}.`,
  );
}
