// The combinations of sites that a search compares: every set of those that fold in this model and that the options allow,
// the empty one too, which is the model without compensation.

import type { BlockModel } from '../../models/index.js';
import type { ResolvedOptions, Site } from '../options/options.js';
import type { Run } from '../run.js';

/** Those inside blocks; 'model' joins each combination at its end, where nothing has to be run again for it. */
const blockSites = ['linear', 'matmul', 'attention', 'mlp', 'block'] as const;

/** In each, the order of `blockSites`; that of none comes first. */
export function combinations({ model, options }: Run): Site[][] {
  const possible = blockSites.filter((site) => canTake(model, options, site));
  const sets = Array.from({ length: 2 ** possible.length }, (_, set) =>
    possible.filter((_site, i) => (set >> i) % 2 === 1),
  );
  // With 'linear' it is 'attention', and 'attention' holds it already.
  const saysTwice = (set: readonly Site[]) =>
    set.includes('matmul') && (set.includes('linear') || set.includes('attention'));
  return sets.filter((set) => !saysTwice(set));
}

/** Whether a bias at the site has a slot in the model, and something to make good. */
export function canTake(model: BlockModel, options: ResolvedOptions, site: Site): boolean {
  if (site === 'linear') return true;
  const { kind } = model.slots[site === 'matmul' ? 'attention' : site];
  if (site === 'model') return kind === 'norm' && options.compensation === 'channel';
  if (site === 'block') return kind !== 'none';
  // On the float path nothing before a linear has been lost.
  if (kind !== 'linear' || options.propagate === 'float') return false;
  return site !== 'matmul' || quantizesOperands(options);
}

/** With float operands 'matmul' makes good less than 'attention' and nothing else. */
function quantizesOperands({ activationBits, activationSites }: ResolvedOptions): boolean {
  return activationBits !== 0 && activationSites.includes('attention');
}
