// What a run cannot ask of a model with experts, told before any work: an expert sees tokens of any position, and of some
// mini-batches none.

import { BallastError } from '../../errors.js';
import { type BlockModel, hasExperts } from '../../models/index.js';
import type { ResolvedOptions } from './options.js';

/** Errors: ERR_ARGUMENT. */
export function expectExperts(model: BlockModel, options: ResolvedOptions): void {
  if (!hasExperts(model)) return;
  const { compensation, weightSearch, activationBits, activationRange } = options;
  if (compensation === 'position') {
    throw refused(model, "compensation 'channel' or 'none'", `'${compensation}'`);
  }
  if (weightSearch !== 'none') throw refused(model, "weightSearch 'none'", `'${weightSearch}'`);
  if (activationBits > 0 && activationRange !== 'dynamic') {
    throw refused(model, "activationRange 'dynamic'", `'${activationRange}'`);
  }
}

function refused({ modelType }: BlockModel, expected: string, received: string): BallastError {
  return new BallastError(
    'ERR_ARGUMENT',
    `Expected ${expected} for ${modelType}, whose experts each see some of the tokens, but received ${received}.`,
  );
}
