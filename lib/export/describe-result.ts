// What the headers say of a result whose weights lie in a file that is no checkpoint (GGUF, ONNX). No weight is read.

import type { Config } from '../models/index.js';
import type { FileDescription } from './format.js';
import { readConfig, tensorNames } from './opened-result.js';
import { readRecord } from './record.js';
import { formats } from './registry.js';

interface ResultDescription extends FileDescription {
  readonly config: Config;
  /** Names by which an architecture may tell variants apart. */
  readonly names: ReadonlySet<string>;
}

/** Undefined for any other directory. Errors: ERR_CHECKPOINT for a damaged result, ERR_IO. */
export async function describeResult(directory: string): Promise<ResultDescription | undefined> {
  const record = await readRecord(directory);
  const format = formats.find(({ name }) => name === record?.format);
  if (format?.describe === undefined) return undefined;
  const config = await readConfig(directory);
  const names = await tensorNames(directory, format);
  return { config, names, ...(await format.describe(directory)) };
}
