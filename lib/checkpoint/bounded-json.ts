// JSON objects from untrusted files, whose size is bounded before they are read.

import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { BallastError } from '../errors.js';
import { ioError, isMissing } from './io-error.js';
import { parseObject } from './json-text.js';

export { isRecord } from './json-text.js';

/** Largest JSON text we read; the limit of the safetensors reference implementation for its header. */
export const maxJsonBytes = 100_000_000;

/** Parses `bytes` as one JSON object; `what` names it in messages. */
export function parseJsonObject(bytes: Uint8Array, what: string): Record<string, unknown> {
  try {
    return parseObject(bytes, what);
  } catch (error) {
    throw damagedJson(error as Error);
  }
}

/** Reads a whole JSON object from a file; undefined when the file does not exist. */
export async function readJsonObject(path: string): Promise<Record<string, unknown> | undefined> {
  const bytes = await readJsonBytes(path);
  return bytes === undefined ? undefined : parseJsonObject(bytes, path);
}

/** The bytes of such a file, for who parses on another thread. */
export async function readJsonBytes(path: string): Promise<Uint8Array | undefined> {
  try {
    await using handle = await open(path);
    const { size } = await handle.stat();
    if (size > maxJsonBytes) {
      throw damagedJson(
        new Error(`Expected at most ${maxJsonBytes} bytes for ${path} but received ${size}`),
      );
    }
    return await handle.readFile();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw ioError(error, `reading ${basename(path)}`, path);
  }
}

/** What `parseObject` threw, with the remedy. */
export function damagedJson({ message, cause }: Error): BallastError {
  return new BallastError(
    'ERR_CHECKPOINT',
    `${message}; the file is damaged: download or export it again.`,
    { cause },
  );
}
