// What a run's options ask of the two paths: which must be run at all, and what is summed on them.

import type { GroupNeeds } from '../statistics/index.js';
import type { InputGroup } from './observe.js';
import type { Run } from './run.js';

/** Which paths' hidden states move through the model. */
export function neededPaths({ options, quantizer }: Run): { float: boolean; quantized: boolean } {
  const { compensation, sites, propagate, target } = options;
  // Every site besides the linears is compared with what the float path has there.
  const comparesPaths = compensation !== 'none' && sites.some((site) => site !== 'linear');
  return {
    float: propagate === 'float' || target === 'float' || comparesPaths,
    quantized: propagate === 'quantized' || quantizer.needsMoment,
  };
}

/** What is summed for an input group; `parted` says whether the paths differ there. */
export function needsOf(
  { options, quantizer, sites }: Run,
  group: InputGroup,
  parted: boolean,
): GroupNeeds {
  const { propagate, compensation } = options;
  return {
    path: propagate,
    quantizerMoment: parted && propagate === 'float' && quantizer.needsMoment,
    drift:
      parted && propagate === 'quantized' && group.some((name) => sites.followsFloatPath(name)),
    positions: compensation === 'position',
  };
}
