// Texts from one column of a parquet file (through hyparquet), one row group at a time so that the event loop turns
// between them and only the wanted column is decoded.

import {
  asyncBufferFromFile,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { BallastError } from '../errors.js';
import { valueAt } from './field.js';

/**
 * Every row's text in `field`, a column or a path that begins with one, in order. Error ERR_DATA for a damaged file, no
 * such column, or a row without text.
 */
export async function readParquetTexts(
  path: string,
  field: string,
  signal?: AbortSignal,
): Promise<string[]> {
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file).catch((error: unknown) => {
    throw damaged(path, error);
  });
  const columns = parquetSchema(metadata).children.map((child) => child.element.name);
  const column = columns.find((name) => name === field || field.startsWith(`${name}.`));
  if (column === undefined) {
    throw new BallastError(
      'ERR_DATA',
      `Expected column '${field}' in ${path} but the columns are: ${columns.join(', ')}; ` +
        'name the column that holds the text.',
    );
  }
  const texts: string[] = [];
  for (const group of metadata.row_groups) {
    signal?.throwIfAborted();
    const rowStart = texts.length;
    const rowEnd = rowStart + Number(group.num_rows);
    const rows = await parquetReadObjects({
      file,
      metadata,
      columns: [column],
      rowStart,
      rowEnd,
      compressors,
    }).catch((error: unknown) => {
      throw damaged(path, error);
    });
    for (const row of rows) texts.push(textOf(valueAt(row, field), field, texts.length, path));
  }
  return texts;
}

function textOf(value: unknown, column: string, row: number, path: string): string {
  if (typeof value === 'string') return value;
  const received = value === null || value === undefined ? 'nothing' : `a ${typeof value}`;
  throw new BallastError(
    'ERR_DATA',
    `Expected text in column '${column}', row ${row + 1} of ${path} but received ${received}.`,
  );
}

function damaged(path: string, error: unknown): BallastError {
  const reason = error instanceof Error ? error.message : String(error);
  return new BallastError(
    'ERR_DATA',
    `Expected a parquet file in ${path} but it cannot be read: ${reason}; export it again.`,
    { cause: error },
  );
}
