// What grids of super-blocks say of the other options.

import { BallastError } from '../../errors.js';
import type { ExportFormat } from '../../export/index.js';
import { superBlocks } from '../../quantizers/index.js';
import { defaults, type QuantizeOptions } from './options.js';

/** What a grid of super-blocks fixes, where there is to be one. Error ERR_ARGUMENT for options that say otherwise. */
export function superBlockDefaults(
  given: Partial<QuantizeOptions>,
  { superBlockBits = [] }: ExportFormat,
): Partial<QuantizeOptions> {
  const { bits = defaults.bits, superBlocks: wanted = superBlockBits.includes(bits) } = given;
  if (!wanted) return {};
  const grid = superBlocks.get(bits);
  if (grid === undefined) throw unlike('2 to 6', 'bits', bits);
  const { groupSize, symmetric } = grid;
  // Multiples of float16 numbers, which float32 holds exactly.
  const fixed = { groupSize, symmetric, scaleDtype: 'float32', weightSearch: 'none' } as const;
  for (const option of ['groupSize', 'symmetric', 'scaleDtype', 'weightSearch'] as const) {
    const value = given[option] ?? fixed[option];
    if (value !== fixed[option]) {
      throw unlike(`${fixed[option]}`, option, value, ` of ${bits} bits`);
    }
  }
  if (given.actOrder === true && given.staticGroups !== true) {
    throw unlike('true', 'staticGroups', false, ' and actOrder');
  }
  return { ...fixed, superBlocks: true };
}

function unlike(expected: string, option: string, received: unknown, which = ''): BallastError {
  return new BallastError(
    'ERR_ARGUMENT',
    `Expected ${expected} for ${option} with superBlocks${which} but received ${received}.`,
  );
}
