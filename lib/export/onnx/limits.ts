// What a graph cannot hold, refused in the names of the options before anything is read.

import { BallastError } from '../../errors.js';
import type { Grid } from '../format.js';

/** Input channels of the smallest block that shares a scale. */
export const smallestBlock = 16;

/** Bits of a stored code. */
export function codeWidth({ bits }: Grid): 4 | 8 {
  return bits <= 4 ? 4 : 8;
}

/** Absent zero points are the middle of the stored codes. */
export function hasZeros(grid: Grid): boolean {
  return !grid.symmetric || grid.bits !== codeWidth(grid);
}

/** Error ERR_ARGUMENT for groups that are no whole blocks, or of columns that do not follow each other. */
export function expectGrid({ groupSize, actOrder, staticGroups }: Grid): void {
  if (groupSize % smallestBlock !== 0) {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected a multiple of ${smallestBlock}, or 0 for one group a channel, for groupSize with format onnx but ` +
        `received ${groupSize}.`,
    );
  }
  if (actOrder && !staticGroups) {
    throw new BallastError(
      'ERR_ARGUMENT',
      'Expected staticGroups with actOrder for format onnx: it holds groups of consecutive columns only.',
    );
  }
}

/** For ranges of activations that are found anew for every input. */
export function dynamicRange(): BallastError {
  return new BallastError(
    'ERR_ARGUMENT',
    "Expected ranges that calibration finds, such as activationRange 'minmax', for format onnx but received dynamic ones; " +
      'its ranges are constants of the graph.',
  );
}
