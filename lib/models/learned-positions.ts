// A table of learned vectors, one a position.

import type { Tensor } from '../device/index.js';
import type { BlockContext } from './model.js';

/** The vectors [rows, hiddenSize] of whole sequences of positions; position 0 is row `offset` of the table. */
export function learnedPositions(
  rows: number,
  table: Tensor,
  { device, sequence }: BlockContext,
  offset = 0,
): Tensor {
  const ids = Int32Array.from({ length: rows }, (_, row) => (row % sequence) + offset);
  return device.embedding(device.upload('int32', [rows], ids), table);
}
