// What a run's options ask of the two paths: which must be run at all, and what is summed on them.

import type { GroupNeeds } from '../statistics/index.js';
import type { Run } from './run.js';

type Asked = Pick<Run, 'options' | 'quantizer'>;

/** Which paths' hidden states move through the model. */
export function neededPaths({ options, quantizer }: Asked): { float: boolean; quantized: boolean } {
  const compensatesBlock = options.compensation !== 'none' && options.sites.includes('block');
  return {
    float: options.propagate === 'float' || options.target === 'float' || compensatesBlock,
    quantized: options.propagate === 'quantized' || quantizer.needsMoment,
  };
}

/** What is summed for each input group; `parted` says whether the paths differ there. */
export function needsOf({ options, quantizer }: Asked, parted: boolean): GroupNeeds {
  return {
    path: options.propagate,
    quantizerMoment: parted && options.propagate === 'float' && quantizer.needsMoment,
    drift: parted && options.target === 'float',
    positions: options.compensation === 'position',
  };
}
