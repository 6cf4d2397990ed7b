// What a packed weight takes in a format's files.

import { bytesPerElement } from '../checkpoint/dtypes.js';
import { superBlocks } from '../quantizers/index.js';
import type { ExportFormat, Grid } from './format.js';

/** Bits of a code, and of what a group has besides: its scale and, where one is stored, its zero point. */
export interface StoredBits {
  readonly code: number;
  readonly group: number;
}

/** What the grid itself needs, where the format says nothing else. */
export function storedBitsOf({ storedBits }: ExportFormat, grid: Grid): StoredBits {
  if (storedBits !== undefined) return storedBits(grid);
  const { bits, symmetric, scaleDtype } = grid;
  const { groupBits } = (grid.superBlocks && superBlocks.get(bits)) || {};
  if (groupBits !== undefined) return { code: bits, group: groupBits };
  const scale = 8 * bytesPerElement(scaleDtype);
  return { code: bits, group: symmetric ? scale : scale + bits };
}
