// The quantizers this library knows: one line each.

import { BallastError } from '../errors.js';
import { comq } from './comq.js';
import { descent } from './descent.js';
import { gptq } from './gptq.js';
import type { Quantizer } from './quantizer.js';
import { rtn } from './rtn.js';

export const quantizers: readonly Quantizer[] = [rtn, gptq, descent, comq];

/** Costs little beside calibration, and no other leaves less error: docs/results.md. */
export const defaultQuantizer: Quantizer = descent;

/** Throws ERR_ARGUMENT for a name that is not registered. */
export function findQuantizer(name: string): Quantizer {
  const quantizer = quantizers.find((candidate) => candidate.name === name);
  if (quantizer === undefined) {
    const known = quantizers.map((candidate) => candidate.name).join(', ');
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected one of ${known} for method but received ${name}.`,
    );
  }
  return quantizer;
}
