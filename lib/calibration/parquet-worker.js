// The worker half of parquet.ts: one column of one file (through hyparquet), one row group at a time and no other column
// decoded. Each message asks for some more texts, so that what waits to be taken stays small. Plain JavaScript, because
// a worker is started from a file, and this one must be found beside its caller in the sources and in the package.

import { parentPort, workerData } from 'node:worker_threads';
import {
  asyncBufferFromFile,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { valueAt } from './field.js';

/** @type {{ path: string, field: string }} */
const { path, field } = workerData;

/** A reply holds little more text than so many characters: the thread that takes it copies them within 1 ms. */
const replyCharacters = 1 << 20;

/** A text takes some memory and time even without any. */
const leastCharacters = 64;

async function* readTexts() {
  const file = await asyncBufferFromFile(path);
  const { metadata, columns } = await parquetMetadataAsync(file).then(withColumns).catch(damaged);
  const column = columnOf(columns);
  let row = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = row + Number(group.num_rows);
    const range = { columns: [column], rowStart: row, rowEnd };
    const rows = await parquetReadObjects({ file, metadata, ...range, compressors }).catch(damaged);
    for (const record of rows) yield textOf(valueAt(record, field), ++row);
  }
}

/** @param {import('hyparquet').FileMetaData} metadata */
function withColumns(metadata) {
  return { metadata, columns: parquetSchema(metadata).children.map(({ element }) => element.name) };
}

async function* readReplies() {
  /** @type {string[]} */
  let texts = [];
  let characters = 0;
  for await (const text of readTexts()) {
    texts.push(text);
    characters += Math.max(text.length, leastCharacters);
    if (characters < replyCharacters) continue;
    yield { texts };
    texts = [];
    characters = 0;
  }
  yield { texts, last: true };
}

/** @param {string[]} columns */
function columnOf(columns) {
  const column = columns.find((name) => name === field || field.startsWith(`${name}.`));
  if (column !== undefined) return column;
  throw unusable(
    `Expected column '${field}' in ${path} but the columns are: ${columns.join(', ')}; ` +
      'name the column that holds the text.',
  );
}

/**
 * @param {unknown} value
 * @param {number} row
 */
function textOf(value, row) {
  if (typeof value === 'string') return value;
  const received = value === null || value === undefined ? 'nothing' : `a ${typeof value}`;
  throw unusable(
    `Expected text in column '${field}', row ${row} of ${path} but received ${received}.`,
  );
}

/**
 * @param {unknown} error
 * @returns {never}
 */
function damaged(error) {
  const reason = error instanceof Error ? error.message : String(error);
  throw unusable(
    `Expected a parquet file in ${path} but it cannot be read: ${reason}; export it again.`,
    error,
  );
}

/**
 * @param {string} message
 * @param {unknown} [cause]
 */
function unusable(message, cause) {
  return Object.assign(new Error(message, { cause }), { code: 'ERR_DATA' });
}

const replies = readReplies();
parentPort?.on('message', async () => {
  const { value } = await replies.next().catch((error) => {
    // A copied error has no code of its own.
    return { value: { error, code: error.code } };
  });
  parentPort?.postMessage(value);
});
