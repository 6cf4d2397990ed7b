// COMQ (Zhang et al., arXiv 2403.07134): coordinate descent with no factorisation. Scales come from the weights alone
// and codes start unrounded; a first sweep, columns in greedy order, rounds each to what makes good the rounding of
// those before; then scales and codes are refitted in turn.

import type { Tensor } from '../device/index.js';
import { descendOptions } from './descent.js';
import { diagonal } from './diagonal.js';
import {
  coarseGridOptions,
  expectMoment,
  type GroupInput,
  type GroupQuantizer,
  type QuantizedWeight,
  type Quantizer,
} from './quantizer.js';
import { onSteps } from './super-blocks.js';

async function forGroup(input: GroupInput): Promise<GroupQuantizer> {
  const { device, moment, scheme, ...rest } = expectMoment('COMQ', input);
  const grid = coarseGridOptions(scheme);
  const weights = scheme.clip === 'mse' ? diagonal(device, moment) : undefined;
  const options = { ...descendOptions({ device, moment, scheme, ...rest }), unrounded: true };
  const quantize = (weight: Tensor): QuantizedWeight => {
    const start = onSteps(device, weight, device.findScales(weight, grid, weights), scheme);
    // Where codes go; what they are at the start does not matter.
    const codes = device.zeros('uint8', weight.shape);
    const { errors: _, ...found } = device.descend(weight, moment, { codes, ...start }, options);
    return found;
  };
  return {
    quantize: (weight) => device.scope(() => quantize(weight)),
    [Symbol.dispose]: () => weights?.dispose(),
  };
}

export const comq: Quantizer = {
  name: 'comq',
  summary: 'coordinate descent from unrounded weights (arXiv 2403.07134)',
  needsMoment: true,
  takesRounds: true,
  defaults: { clip: 'mse', damping: 0, order: 'greedy' },
  forGroup,
};
