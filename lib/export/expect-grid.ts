// Whether a format can hold a grid, and embeddings of so many bits.

import type { Client } from '../clients.js';
import { BallastError } from '../errors.js';
import type { ExportFormat, Grid } from './format.js';

/** Throws ERR_ARGUMENT for bits that the format has no place for. */
export function expectEmbeddingBits(
  { name, embeddingBits = [] }: ExportFormat,
  bits: number,
): void {
  if (bits === 16 || embeddingBits.includes(bits)) return;
  const known = [...embeddingBits, 16].join(' or ');
  throw new BallastError(
    'ERR_ARGUMENT',
    `Expected ${known} for embeddingBits with format ${name} but received ${bits}.`,
  );
}

/** Throws ERR_ARGUMENT for a grid that the format cannot hold, or `client` cannot read in it, in the words of the options. */
export function expectGrid(format: ExportFormat, grid: Grid, client?: Client): void {
  if (grid.superBlocks && !format.holdsSuperBlocks) {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected format gguf or huggingface with superBlocks but received ${format.name}, which has no such grids.`,
    );
  }
  format.expectGrid?.(grid, client);
}
