// A finished result, ready to be read linear by linear.

import { join } from 'node:path';
import { readJsonObject } from '../checkpoint/bounded-json.js';
import { Checkpoint } from '../checkpoint/checkpoint.js';
import { recordFile } from '../checkpoint/output/result-files.js';
import type { Device } from '../device/index.js';
import { BallastError } from '../errors.js';
import { type BlockModel, type Config, readBlockModel } from '../models/index.js';
import type { ExportFormat, ExportReader } from './format.js';
import { type ExportRecord, expectRecord, notAResult } from './record.js';

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
