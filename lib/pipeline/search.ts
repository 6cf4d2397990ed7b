// The search over sites (the grid of arXiv 2404.01892): the model is quantized once, then every combination of sites
// is fitted on those weights and scored by the perplexity of the held-out calibration samples. No test text is seen.
// The best combination is then run as a quantization of its own.

import { mkdtemp, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import { negativeLogLikelihood } from '../evaluate/index.js';
import { checkpointModel, embed, loadBlock, loadWeights } from '../execution/index.js';
import { type BlockModel, isLanguageModel, type LanguageModel } from '../models/index.js';
import { batchesOf, type CalibrationData } from './calibration-data.js';
import type { QuantizeEvent, RunReport } from './events.js';
import { compensateModel } from './model-site.js';
import type { QuantizeOptions, ResolvedOptions, Site } from './options.js';
import { quantizeBlocks } from './quantize.js';
import { quantizeBlock } from './quantize-block.js';
import { Paths, type Run } from './run.js';
import { findSites } from './sites.js';
import { withRun } from './with-run.js';

/** One combination of sites. */
export interface Candidate {
  readonly sites: readonly Site[];
  /** Of the held-out calibration samples. */
  readonly heldOutPerplexity: number;
}

export type SearchEvent =
  | QuantizeEvent
  | { readonly type: 'candidate'; readonly candidate: Candidate };

export interface SearchReport {
  /** Best first. */
  readonly candidates: readonly Candidate[];
  /** Of the run with the best sites, which is what lies in the output directory. */
  readonly report: RunReport;
}

/**
 * Sites of the blocks. Without 'matmul': with 'linear' it is 'attention', and alone it makes good less than that. 'model'
 * joins each combination at its end, where nothing has to be run again for it.
 */
const blockSites = ['linear', 'attention', 'mlp', 'block'] as const;

/**
 * Finds the sites that serve this model best and writes the model quantized with them. `options` are those of
 * `quantize`; `sites` is what is searched for, and `heldOut` must not be 0. Errors as `quantize`.
 */
export async function* search(
  model: string,
  options: Omit<QuantizeOptions, 'sites'>,
): AsyncGenerator<SearchEvent, SearchReport> {
  if (options.compensation === 'none' || options.heldOut === 0) {
    throw new BallastError(
      'ERR_ARGUMENT',
      'Expected a compensation and held-out samples for a search: it compares biases by held-out perplexity.',
    );
  }
  return yield* withRun(model, options, searchSites);
}

async function* searchSites(
  run: Run,
  data: CalibrationData,
): AsyncGenerator<SearchEvent, SearchReport> {
  const { model } = run;
  if (!isLanguageModel(model)) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected a language model to search sites for but received ${model.modelType}; choose sites for it by hand.`,
    );
  }
  const folder = await mkdtemp(join(dirname(resolve(run.options.output)), 'ballast-search-'));
  try {
    const prepared = await quantizeOnce(run, data, join(folder, 'model'));
    const candidates: Candidate[] = [];
    for (const sites of combinations(run)) {
      run.throwIfAborted();
      for (const candidate of await score(withSites(run, sites), model, data, prepared)) {
        candidates.push(candidate);
        yield { type: 'candidate', candidate };
      }
    }
    candidates.sort((a, b) => a.heldOutPerplexity - b.heldOutPerplexity);
    const best = candidates[0]?.sites ?? ['linear'];
    const report = yield* quantizeBlocks(withSites(run, best), data);
    return { candidates, report };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function withSites(run: Run, sites: readonly Site[]): Run {
  const options = { ...run.options, sites };
  return { ...run, options, sites: findSites(run.model, options) };
}

/** Every set of block sites that this model has slots for; that of none is the uncompensated model. */
function combinations({ model, options }: Run): Site[][] {
  const possible = blockSites.filter((site) => folds(model, options, site));
  return Array.from({ length: 2 ** possible.length }, (_, set) =>
    possible.filter((_site, i) => (set >> i) % 2 === 1),
  );
}

function folds(model: BlockModel, { compensation }: ResolvedOptions, site: Site): boolean {
  if (site === 'linear') return true;
  const { kind } = model.slots[site === 'matmul' ? 'attention' : site];
  if (site === 'model') return kind === 'norm' && compensation === 'channel';
  return kind === 'linear' || (kind === 'norm' && site === 'block');
}

async function quantizeOnce(run: Run, data: CalibrationData, output: string): Promise<Checkpoint> {
  const based = withSites(run, ['linear']);
  const once = { ...based, options: { ...based.options, output, format: 'huggingface' } };
  for await (const _event of quantizeBlocks(once, data)) run.throwIfAborted();
  return Checkpoint.open(output);
}

/** Held-out perplexity with biases at the run's sites on weights that were quantized before, without and with 'model'. */
async function score(
  run: Run,
  model: LanguageModel,
  data: CalibrationData,
  quantized: Checkpoint,
): Promise<Candidate[]> {
  const { device, checkpoint, context, heldOutFrom, options } = run;
  const { fitted, heldOut } = batchesOf(data);
  using embedding = await loadWeights(device, checkpoint, model.embedTensors);
  using paths = new Paths(await embed(model, embedding, [...fitted, ...heldOut], context));
  const folded = folds(model, options, 'model');
  const sites = { ...run.sites, model: folded };
  const fitting: Run = { ...run, sites, keepsStates: true };
  for (let index = 0; index < model.blocks; index++) {
    using weights = await loadBlock(device, quantized, model, index);
    const prepared = (name: string) => {
      const weight = weights.linears.get(name)?.weight;
      if (weight === undefined) throw new RangeError(`No linear ${name}.`);
      return device.reshape(weight, weight.shape);
    };
    using _block = await quantizeBlock({ ...fitting, prepared }, index, paths, () => {});
  }
  const judged = paths.quantized.slice(heldOutFrom);
  const ids = heldOut.filter((batch) => batch instanceof Int32Array);
  const stored = (replaced?: ReadonlyMap<string, Tensor>) =>
    checkpointModel(device, checkpoint, model, replaced);
  const perplexity = async (replaced?: ReadonlyMap<string, Tensor>) => {
    const loss = await negativeLogLikelihood(stored(replaced), model, ids, judged, context);
    return Math.exp(loss / (data.heldOut.length * (context.sequence - 1)));
  };
  const candidates = [{ sites: options.sites, heldOutPerplexity: await perplexity() }];
  if (!folded) return candidates;
  using bias = await compensateModel(fitting, paths);
  const heldOutPerplexity = await perplexity(bias?.replaced);
  return [...candidates, { sites: [...options.sites, 'model'], heldOutPerplexity }];
}
