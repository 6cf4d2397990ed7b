// JSON objects from untrusted files: size bounded before reading, strict UTF-8, and no key twice in one object,
// since JSON.parse would silently keep the last and two readers could then see two different checkpoints.

import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { BallastError } from '../errors.js';
import { ioError, isMissing } from './io-error.js';

/** Largest JSON text we read; the limit of the safetensors reference implementation for its header. */
export const maxJsonBytes = 100_000_000;

/** Parses `bytes` as one JSON object; `what` names it in messages. */
export function parseJsonObject(bytes: Uint8Array, what: string): Record<string, unknown> {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : 'it is not UTF-8 text';
    throw damaged(`Expected JSON for ${what} but received something else: ${reason}`, error);
  }
  if (!isRecord(value)) {
    throw damaged(`Expected a JSON object for ${what} but received ${describe(value)}`);
  }
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) {
    throw damaged(`Expected each key once in ${what} but received '${duplicate}' twice`);
  }
  return value;
}

/** Reads a whole JSON object from a file; undefined when the file does not exist. */
export async function readJsonObject(path: string): Promise<Record<string, unknown> | undefined> {
  try {
    const handle = await open(path);
    try {
      const { size } = await handle.stat();
      if (size > maxJsonBytes) {
        throw damaged(`Expected at most ${maxJsonBytes} bytes for ${path} but received ${size}`);
      }
      return parseJsonObject(await handle.readFile(), path);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw ioError(error, `reading ${basename(path)}`, path);
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`;
}

function damaged(message: string, cause?: unknown): BallastError {
  return new BallastError(
    'ERR_CHECKPOINT',
    `${message}; the file is damaged: download or export it again.`,
    { cause },
  );
}

// Walks text that JSON.parse has accepted, so only strings and braces need to be told apart. A string followed by
// a colon is a key of the innermost open object.
function findDuplicateKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '{') open.push(new Set());
    else if (character === '}') open.pop();
    if (character !== '"') continue;
    const start = i;
    for (i++; text[i] !== '"'; i++) if (text[i] === '\\') i++;
    let next = i + 1;
    while (text[next] === ' ' || text[next] === '\n' || text[next] === '\r' || text[next] === '\t')
      next++;
    if (text[next] !== ':') continue;
    const key = JSON.parse(text.slice(start, i + 1)) as string;
    const keys = open.at(-1);
    if (keys?.has(key)) return key;
    keys?.add(key);
  }
  return undefined;
}
