// The search over sites (the grid of arXiv 2404.01892): the model is quantized once, then every combination of sites
// is fitted on those weights and scored on the held-out calibration samples; no test data is seen. No compensation at all
// is one of the combinations. The best one is then run as a quantization of its own.

import { mkdtemp, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { ioError } from '../../checkpoint/io-error.js';
import { makeDirectories } from '../../checkpoint/output/make-directories.js';
import type { Tensor } from '../../device/index.js';
import { checkpointModel, disposeEach, PerDevice } from '../../execution/index.js';
import { quantizeBlock } from '../blocks/quantize-block.js';
import type { CalibrationData } from '../calibration-data.js';
import { enterModel } from '../enter-model.js';
import type { QuantizeEvent, RunReport } from '../events.js';
import type { SearchOptions, Site } from '../options/options.js';
import { runOptionsOf } from '../options/resolve-options.js';
import { quantizeBlocks } from '../quantize.js';
import type { Run } from '../run.js';
import { compensateModel } from '../sites/model-site.js';
import { findSites } from '../sites/sites.js';
import { withRun } from '../with-run.js';
import { loadPrepared, type PreparedModel, prepareModel } from './prepared-model.js';
import { type HeldOutScore, openScorer, type Scorer, scoreOf } from './scorer.js';
import { canTake, combinations } from './site-combinations.js';

/** One combination of sites and its score on the held-out calibration samples, the lower the better. */
export interface Candidate extends HeldOutScore {
  /** Empty: without compensation. */
  readonly sites: readonly Site[];
}

export type SearchEvent =
  | QuantizeEvent
  | { readonly type: 'candidate'; readonly candidate: Candidate };

export interface SearchReport {
  /** What candidates are compared by; the lower, the better. */
  readonly metric: keyof HeldOutScore;
  /** Best first. */
  readonly candidates: readonly Candidate[];
  /**
   * Of the run with the best sites, which is what lies in the output directory. Where that is none, its options say
   * compensation 'none'.
   */
  readonly report: RunReport;
}

/**
 * Finds the sites that serve this model best, or that none does, and writes the model quantized with them. Language
 * models are compared by the perplexity of held-out samples, image classifiers by how far their predictions are from
 * the float model's. `options` are those of `quantize`; `sites` is what is searched for, and `heldOut`, by default
 * 1/2 here, must not be 0. Errors as `quantize`.
 */
export async function* search(
  model: string,
  options: SearchOptions,
): AsyncGenerator<SearchEvent, SearchReport> {
  return yield* withRun(model, runOptionsOf(options), searchSites);
}

async function* searchSites(
  run: Run,
  data: CalibrationData,
): AsyncGenerator<SearchEvent, SearchReport> {
  const folder = await folderBeside(run.options.output);
  try {
    const scorer = await openScorer(run, data);
    using models = await prepare(run, data, folder);
    const candidates: Candidate[] = [];
    for (const sites of combinations(run)) {
      run.throwIfAborted();
      for (const candidate of await score(run, sites, data, models.for(sites), scorer)) {
        candidates.push(candidate);
        yield { type: 'candidate', candidate };
      }
    }
    candidates.sort((a, b) => scoreOf(a) - scoreOf(b));
    const report = yield* quantizeBlocks(withSites(run, candidates[0]?.sites ?? []), data);
    return { metric: scorer.metric, candidates, report };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Whole models go there, so it is on the file system of the output. */
async function folderBeside(output: string): Promise<string> {
  const parent = dirname(resolve(output));
  try {
    await makeDirectories(parent);
    return await mkdtemp(join(parent, 'ballast-search-'));
  } catch (error) {
    throw ioError(error, 'creating a folder beside the output', parent);
  }
}

/** No sites are no compensation. */
function withSites(run: Run, sites: readonly Site[]): Run {
  const compensation = sites.length === 0 ? 'none' : run.options.compensation;
  const options = { ...run.options, compensation, sites };
  return { ...run, options, sites: findSites(run.model, options) };
}

/** What combinations are fitted on. */
interface PreparedModels extends Disposable {
  for(sites: readonly Site[]): PreparedModel;
}

/** Weights that know whether linears get biases, where that changes them. */
async function prepare(run: Run, data: CalibrationData, folder: string): Promise<PreparedModels> {
  const { quantizer, options } = run;
  const into = (name: string, sites: readonly Site[]) =>
    prepareModel(withSites(run, sites), data, join(folder, name));
  const biased = await into('biased', ['linear']);
  const readsMoments =
    quantizer.needsMoment || options.clip === 'mse' || options.refit === 'scales';
  const plain = readsMoments ? await into('plain', []) : biased;
  return {
    for: (sites) => (sites.includes('linear') ? biased : plain),
    [Symbol.dispose]: () => disposeEach([biased, plain]),
  };
}

/** The scores of biases at these sites on weights that were quantized before, without 'model' and, where it folds, with. */
async function score(
  run: Run,
  sites: readonly Site[],
  data: CalibrationData,
  quantized: PreparedModel,
  { metric, score }: Scorer,
): Promise<Candidate[]> {
  const { devices, model, checkpoint, heldOutFrom, options } = run;
  const withModel: readonly Site[] | undefined = canTake(model, options, 'model')
    ? [...sites, 'model']
    : undefined;
  const fitting: Run = { ...withSites(run, withModel ?? sites), keepsStates: true };
  using paths = await enterModel(run, data);
  for (let index = 0; index < model.blocks; index++) {
    using prepared = await loadPrepared(run, quantized, index);
    using _block = await quantizeBlock({ ...fitting, prepared }, index, paths, () => {});
  }
  // Each is scored on the device where it lies.
  const judged = paths.quantized.slice(heldOutFrom);
  const candidate = async (
    chosen: readonly Site[],
    replaced?: ReadonlyMap<string, Tensor>,
  ): Promise<Candidate> => {
    using stored = PerDevice.make(devices, (device) =>
      checkpointModel(device, checkpoint, model, replaced),
    );
    return { sites: chosen, [metric]: await score(stored, judged) };
  };
  const candidates = [await candidate(sites)];
  if (withModel === undefined) return candidates;
  using bias = await compensateModel(fitting, paths);
  return [...candidates, await candidate(withModel, bias?.replaced)];
}
