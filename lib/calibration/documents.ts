// The texts of a calibration or test file, in its order: a .txt file is one document, a .jsonl file one per line, a
// .parquet file one per row. Nothing is trimmed or joined, since a changed space changes tokens.

import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { aborted, BallastError, expectNotAborted } from '../errors.js';
import { onAbort } from '../on-abort.js';
import { sharedDefaults } from '../shared-defaults.js';
import { valueAt } from './field.js';
import { readParquetTexts } from './parquet.js';

const lineFeed = 0x0a;

export interface DocumentOptions {
  /** Field (JSONL) or column (parquet) that holds the text, or a path with dots to it. Default 'text'. */
  readonly field?: string;
  /** Ends the reading, with an error. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads all documents. Errors: ERR_DATA naming file and line or row for what cannot be read, ERR_MEMORY for a row group
 * of a parquet file that is too large, ERR_ABORTED.
 */
export async function readDocuments(
  path: string,
  options: DocumentOptions = {},
): Promise<string[]> {
  const { field = sharedDefaults.field, signal } = options;
  const documents = await readBySuffix(path, field, signal).catch((error: unknown) => {
    // A reading that is cut off fails in many ways; the cause is the signal.
    expectNotAborted(signal, `The reading of ${path}`);
    throw unreadable(error, path);
  });
  if (documents.every((document) => document.length === 0)) {
    throw new BallastError(
      'ERR_DATA',
      `Expected text in ${path} but it is empty; choose another file.`,
    );
  }
  return documents;
}

async function readBySuffix(path: string, field: string, signal?: AbortSignal): Promise<string[]> {
  switch (extname(path).toLowerCase()) {
    case '.txt':
      return [decode(await readFile(path, { signal }), path)];
    case '.jsonl':
    case '.ndjson':
      return readJsonLines(path, field, signal);
    case '.parquet':
      return readParquetTexts(path, field, signal);
    default:
      throw new BallastError(
        'ERR_DATA',
        `Expected a .txt, .jsonl or .parquet file but received ${path}; rename or convert it.`,
      );
  }
}

/** A byte order mark tells of the encoding and is no text. */
function decode(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new BallastError('ERR_DATA', `Expected UTF-8 text in ${where}; convert its encoding.`, {
      cause: error,
    });
  }
}

async function readJsonLines(path: string, field: string, signal?: AbortSignal): Promise<string[]> {
  const documents: string[] = [];
  let number = 0;
  for await (const bytes of linesOf(path, signal)) {
    const where = `line ${++number} of ${path}`;
    const line = decode(bytes, where);
    if (line.trim() !== '') documents.push(textOfLine(line, field, where));
  }
  return documents;
}

/** Bytes between line feeds. Lines are cut before they are decoded: other characters that end lines may stand in JSON. */
async function* linesOf(path: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  const stream = createReadStream(path);
  using _waiting = onAbort(signal, () => stream.destroy(aborted(`The reading of ${path}`)));
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let begin = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, begin)) {
      yield Buffer.concat([...parts, chunk.subarray(begin, end)]);
      parts = [];
      begin = end + 1;
    }
    parts.push(chunk.subarray(begin));
  }
  yield Buffer.concat(parts);
}

function textOfLine(line: string, field: string, where: string): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new BallastError('ERR_DATA', `Expected JSON in ${where}; correct or remove the line.`, {
      cause: error,
    });
  }
  const record = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
  const text = valueAt(record, field);
  if (typeof text === 'string') return text;
  if (Object.hasOwn(record, field)) {
    const received = text === null ? 'null' : `a ${typeof text}`;
    throw new BallastError(
      'ERR_DATA',
      `Expected text in field '${field}' in ${where} but received ${received}; correct or remove the line.`,
    );
  }
  const fields = Object.keys(record).join(', ') || 'none';
  throw new BallastError(
    'ERR_DATA',
    `Expected text in field '${field}' in ${where} but the fields are: ${fields}; name the field that holds the text.`,
  );
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file; check the path',
  EISDIR: 'it is a directory; name a file in it',
  ENOTDIR: 'a part of the path is a file; check the path',
  EACCES: 'permission is denied; check its owner and mode',
  ENAMETOOLONG: 'its name is too long; check the path',
  ERR_STRING_TOO_LONG: 'it is too long for one text; split it',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'it is too long for one text; split it',
};

function unreadable(error: unknown, path: string): BallastError {
  if (error instanceof BallastError) return error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  const reason = reasons[code] ?? message;
  return new BallastError('ERR_DATA', `Failed reading ${path}: ${reason}.`, { cause: error });
}
