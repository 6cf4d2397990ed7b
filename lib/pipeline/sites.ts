// Which outputs a run compensates. A site besides the linears is the output of attention or of the MLP as the float
// path has it: the bias of the linear that ends it then makes good what all before it in the block has lost, not only
// what its own rounding takes. The site 'matmul' is what attention's second product gives and that linear reads: a constant
// on it reaches the bias through the quantized weight, whatever quantizes the product's operands. Together with the linear
// itself it is the site 'attention': ΔW (μ̂ + E[D]) + Q E[D] = W μ − Q μ̂. The block's own output is block-site.ts.

import type { BiasSource } from '../compensation/index.js';
import { BallastError } from '../errors.js';
import { biasCapability } from '../export/index.js';
import type { BlockModel } from '../models/index.js';
import type { ResolvedOptions } from './options.js';

export interface LinearSites {
  /** Whether this linear gets a bias. */
  compensates(linear: string): boolean;
  /** What that bias makes good: the mean error of its output, or only what its inputs lack. */
  sourceOf(linear: string): BiasSource;
  /** Whether its bias is fitted to the float path. */
  followsFloatPath(linear: string): boolean;
  /** Linears that would get one, had what loads the result a place for it; by name inside the block. */
  readonly dropped: readonly string[];
}

/** Errors: ERR_ARGUMENT for a site whose constant folds nowhere in this model. */
export function linearSites(model: BlockModel, options: ResolvedOptions): LinearSites {
  const { sites, compensation, target } = options;
  const ends = new Set<string>();
  const reads = new Set<string>();
  for (const site of ['matmul', 'attention', 'mlp'] as const) {
    if (compensation === 'none' || !sites.includes(site)) continue;
    const slot = model.slots[site === 'matmul' ? 'attention' : site];
    if (slot.kind !== 'linear') {
      const reason = slot.kind === 'none' ? slot.reason : `it ends in the norm ${slot.tensor}`;
      throw new BallastError(
        'ERR_ARGUMENT',
        `Expected sites that ${model.modelType} has a bias for but received ${site}: ${reason}`,
      );
    }
    (site === 'matmul' ? reads : ends).add(slot.linear);
  }
  const outputs = (linear: string) => sites.includes('linear') || ends.has(linear);
  const asked = (linear: string) =>
    compensation !== 'none' && (outputs(linear) || reads.has(linear));
  const { dropped } = biasCapability(model, options.format, options.client);
  // Biases per position travel beside the weights, and only our own evaluator reads them.
  const lost = new Set(compensation === 'channel' ? dropped.filter(asked) : []);
  return {
    compensates: (linear) => asked(linear) && !lost.has(linear),
    sourceOf: (linear) => (outputs(linear) ? 'output' : 'inputs'),
    dropped: [...lost],
    followsFloatPath: (linear) => target === 'float' || ends.has(linear) || reads.has(linear),
  };
}
