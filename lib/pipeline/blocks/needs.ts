// What a run's options ask of the two paths: which must be run at all, and what is summed on them.

import type { GroupNeeds } from '../../statistics/index.js';
import type { Propagate } from '../options/options.js';
import type { Run } from '../run.js';
import type { InputGroup } from './observe.js';

/** Where what is summed for a group is read. */
export interface GroupPlan extends GroupNeeds {
  /** The path whose inputs errors and biases are measured on. */
  readonly path: Propagate;
  /** What the target reads: inputs of the float path, or the same inputs before they are quantized. */
  readonly reference: 'float' | 'own';
}

/** What of a run decides. */
export type Asked = Pick<
  Run,
  'options' | 'quantizer' | 'sites' | 'model' | 'prepared' | 'keepsStates'
>;

/** Which paths' hidden states move through the model. */
export function neededPaths({ options, quantizer, sites, model, prepared, keepsStates }: Asked): {
  float: boolean;
  quantized: boolean;
} {
  const { propagate, target, activationBits, activationRange } = options;
  const findsGrids = prepared === undefined;
  const searchesWeights = findsGrids && options.weightSearch !== 'none';
  // Every site besides the linears is compared with what the float path has there.
  const comparesPaths =
    sites.block || sites.model || model.linears.some(({ name }) => sites.followsFloatPath(name));
  const staticRanges = findsGrids && activationBits !== 0 && activationRange !== 'dynamic';
  return {
    // Ranges are those of the float path: what the model was trained to have there.
    float:
      propagate === 'float' ||
      target === 'float' ||
      comparesPaths ||
      staticRanges ||
      searchesWeights,
    quantized: propagate === 'quantized' || quantizer.needsMoment || sites.model || keepsStates,
  };
}

/** What is summed for an input group; `parted` says whether the paths differ there. */
export function needsOf(
  { options, quantizer, sites, prepared }: Asked,
  group: InputGroup,
  parted: boolean,
): GroupPlan {
  const { propagate, compensation, activationBits } = options;
  const followsFloatPath =
    parted && propagate === 'quantized' && group.some((name) => sites.followsFloatPath(name));
  return {
    path: propagate,
    reference: followsFloatPath ? 'float' : 'own',
    // Where weights are prepared, only biases are fitted.
    moments: prepared === undefined,
    quantizerMoment:
      prepared === undefined && parted && propagate === 'float' && quantizer.needsMoment,
    drift: followsFloatPath || activationBits !== 0,
    positions: compensation === 'position',
  };
}
