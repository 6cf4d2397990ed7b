// Which outputs a run compensates. A site besides the linears is the output of attention or of the MLP as the float
// path has it: the bias of the linear that ends it then makes good what all before it in the block has lost, not only
// what its own rounding takes. The site 'matmul' is what attention's second product gives and that linear reads: a constant
// on it reaches the bias through the quantized weight, whatever quantizes the product's operands. Together with the linear
// itself it is the site 'attention': ΔW (μ̂ + E[D]) + Q E[D] = W μ − Q μ̂. The block's own output is block-site.ts, the
// final hidden states are model-site.ts.

import type { BiasSource } from '../../compensation/index.js';
import { BallastError } from '../../errors.js';
import { biasCapability, findFormat } from '../../export/index.js';
import type { BlockModel } from '../../models/index.js';
import type { CompensationGranularity, ResolvedOptions, Site } from '../options/options.js';

export interface Sites {
  /** Whether this linear gets a bias. */
  compensates(linear: string): boolean;
  /** What that bias makes good: the mean error of its output, or only what its inputs lack. */
  sourceOf(linear: string): BiasSource;
  /** Whether its bias is fitted to the float path. */
  followsFloatPath(linear: string): boolean;
  /** Whether each block's output gets a bias, and the final hidden states. */
  readonly block: boolean;
  readonly model: boolean;
  /** Linears that would get one, had what loads the result a place for it; by name inside the block. */
  readonly dropped: readonly string[];
}

/** Errors: ERR_ARGUMENT for a site whose constant folds nowhere in this model. */
export function findSites(model: BlockModel, options: ResolvedOptions): Sites {
  const { sites, compensation, target } = options;
  const asks = (site: Site) => compensation !== 'none' && sites.includes(site);
  const ends = new Set<string>();
  const reads = new Set<string>();
  for (const site of ['matmul', 'attention', 'mlp'] as const) {
    if (asks(site)) (site === 'matmul' ? reads : ends).add(linearOf(model, site));
  }
  const outputs = (linear: string) => asks('linear') || ends.has(linear);
  const asked = (linear: string) => outputs(linear) || reads.has(linear);
  const foldsBlock = asks('block') && compensation === 'channel';
  const slot = foldsBlock ? slotOf(model, 'block') : undefined;
  if (asks('model')) expectModelSite(model, compensation);
  const { dropped } = biasCapability(model, findFormat(options.format), options.client);
  const folds = (linear: string) => slot?.kind === 'linear' && slot.linear === linear;
  // Biases per position travel beside the weights, and only our own evaluator reads them.
  const lost = new Set(
    compensation === 'channel' ? dropped.filter((linear) => asked(linear) || folds(linear)) : [],
  );
  return {
    compensates: (linear) => asked(linear) && !lost.has(linear),
    sourceOf: (linear) => (outputs(linear) ? 'output' : 'inputs'),
    followsFloatPath: (linear) => target === 'float' || ends.has(linear) || reads.has(linear),
    block: asks('block') && ![...lost].some(folds),
    model: asks('model'),
    dropped: [...lost],
  };
}

function linearOf(model: BlockModel, site: 'matmul' | 'attention' | 'mlp'): string {
  const slot = slotOf(model, site);
  if (slot.kind === 'linear') return slot.linear;
  throw refused(model, site, `it ends in the norm ${slot.tensor}`);
}

function slotOf(model: BlockModel, site: Exclude<Site, 'linear'>) {
  const slot = model.slots[site === 'matmul' ? 'attention' : site];
  if (slot.kind === 'none') throw refused(model, site, slot.reason);
  return slot;
}

/** Only the head reads final hidden states, and it has no file of biases per position beside it. */
function expectModelSite(model: BlockModel, compensation: CompensationGranularity): void {
  slotOf(model, 'model');
  if (compensation === 'channel') return;
  throw refused(model, 'model', 'a bias of final hidden states is one per channel');
}

function refused({ modelType }: BlockModel, site: Site, reason: string): BallastError {
  return new BallastError(
    'ERR_ARGUMENT',
    `Expected sites that ${modelType} has a bias for but received ${site}: ${reason}`,
  );
}
