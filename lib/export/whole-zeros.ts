// Zero points as formats of packed codes hold them: whole numbers of as many bits as a code.

import { BallastError } from '../errors.js';
import type { Grid } from './format.js';

/** Errors: ERR_UNSUPPORTED for a zero point that is no code, or none in the middle where the grid is symmetric. */
export function wholeZeros(zeros: Float32Array, grid: Grid, layer: string): Uint8Array {
  const middle = 2 ** (grid.bits - 1);
  const wrong = zeros.find((zero) =>
    grid.symmetric
      ? zero !== middle
      : !Number.isInteger(zero) || zero < 0 || zero > 2 ** grid.bits - 1,
  );
  if (wrong === undefined) return Uint8Array.from(zeros);
  throw new BallastError(
    'ERR_UNSUPPORTED',
    `Expected ${grid.symmetric ? `zero points of ${middle}` : 'whole zero points'} in ${layer} but received ${wrong}; ` +
      'this grid was made for another format: quantize again with the one that you need.',
  );
}
