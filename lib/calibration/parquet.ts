// Texts from one column of a parquet file. A row group is decoded in one piece, some milliseconds for each megabyte, so
// it happens on a worker thread: the event loop stays free.

import { BallastError } from '../errors.js';
import { isOutOfMemory, WorkerConnection } from '../worker-connection.js';

interface Reply {
  readonly texts?: readonly string[];
  /** There are no more texts than these. */
  readonly last?: true;
  readonly error?: Error;
  readonly code?: string;
}

/**
 * Every row's text in `field`, a column or a path that begins with one, in order. Error ERR_DATA for a damaged file, no
 * such column, or a row without text; ERR_MEMORY for a row group that is too large; any, once `signal` has ended the worker.
 */
export async function readParquetTexts(
  path: string,
  field: string,
  signal?: AbortSignal,
): Promise<string[]> {
  const script = new URL('./parquet-worker.js', import.meta.url);
  const connection = new WorkerConnection<Reply>(script, { path, field }, signal);
  const texts: string[] = [];
  try {
    for (;;) {
      const reply = await connection.send('more');
      if (reply.error !== undefined) throw errorOf(reply.error, reply.code);
      for (const text of reply.texts ?? []) texts.push(text);
      if (reply.last) return texts;
    }
  } catch (error) {
    throw isOutOfMemory(error) ? tooLarge(path, error) : error;
  } finally {
    await connection.close();
  }
}

/** The worker's error again, which lost its type and code between the threads. */
function errorOf(error: Error, code?: string): Error {
  if (code !== 'ERR_DATA') return Object.assign(error, { code });
  return new BallastError(code, error.message, { cause: error.cause });
}

function tooLarge(path: string, cause: unknown): BallastError {
  return new BallastError(
    'ERR_MEMORY',
    `Expected row groups that can be decoded whole but one of ${path} takes more memory than Node.js allows; ` +
      'write smaller row groups, take fewer rows, or raise --max-old-space-size in NODE_OPTIONS.',
    { cause },
  );
}
