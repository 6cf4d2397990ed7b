// The search over sites (the grid of arXiv 2404.01892): the model is quantized once, then every combination of sites
// is fitted on those weights and scored by the perplexity of the held-out calibration samples. No test text is seen.
// The best combination is then run as a quantization of its own.

import { mkdtemp, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Checkpoint } from '../checkpoint/checkpoint.js';
import { BallastError } from '../errors.js';
import { negativeLogLikelihood } from '../evaluate/index.js';
import { checkpointModel, embed, loadBlock, loadWeights } from '../execution/index.js';
import { type BlockModel, isLanguageModel, type LanguageModel } from '../models/index.js';
import { batchesOf, type CalibrationData } from './calibration-data.js';
import type { QuantizeEvent, RunReport } from './events.js';
import type { QuantizeOptions, Site } from './options.js';
import { quantizeBlocks } from './quantize.js';
import { quantizeBlock } from './quantize-block.js';
import { Paths, type Run } from './run.js';
import { linearSites } from './sites.js';
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

/** Without 'matmul': with 'linear' it is 'attention', and alone it makes good less than that. */
const allSites = ['linear', 'attention', 'mlp', 'block'] as const;

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
    for (const sites of combinations(model)) {
      run.throwIfAborted();
      const heldOutPerplexity = await score(withSites(run, sites), model, data, prepared);
      const candidate = { sites, heldOutPerplexity };
      candidates.push(candidate);
      yield { type: 'candidate', candidate };
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
  return { ...run, options, sites: linearSites(run.model, options) };
}

/** Every set of sites that has slots in this model; that of none is the uncompensated model. */
function combinations(model: BlockModel): Site[][] {
  const possible = allSites.filter((site) => {
    if (site === 'linear') return true;
    const { kind } = model.slots[site];
    return kind === 'linear' || (kind === 'norm' && site === 'block');
  });
  return Array.from({ length: 2 ** possible.length }, (_, set) =>
    possible.filter((_site, i) => (set >> i) % 2 === 1),
  );
}

async function quantizeOnce(run: Run, data: CalibrationData, output: string): Promise<Checkpoint> {
  const based = withSites(run, ['linear']);
  const once = { ...based, options: { ...based.options, output, format: 'huggingface' } };
  for await (const _event of quantizeBlocks(once, data)) run.throwIfAborted();
  return Checkpoint.open(output);
}

/** Held-out perplexity with biases at the run's sites on weights that were quantized before. */
async function score(
  run: Run,
  model: LanguageModel,
  data: CalibrationData,
  quantized: Checkpoint,
): Promise<number> {
  const { device, checkpoint, context, heldOutFrom } = run;
  const { fitted, heldOut } = batchesOf(data);
  using embedding = await loadWeights(device, checkpoint, model.embedTensors);
  using paths = new Paths(await embed(model, embedding, [...fitted, ...heldOut], context));
  for (let index = 0; index < model.blocks; index++) {
    using weights = await loadBlock(device, quantized, model, index);
    const prepared = (name: string) => {
      const weight = weights.linears.get(name)?.weight;
      if (weight === undefined) throw new RangeError(`No linear ${name}.`);
      return device.reshape(weight, weight.shape);
    };
    const fitting: Run = { ...run, prepared, finalStates: true };
    using _block = await quantizeBlock(fitting, index, paths, () => {});
  }
  const judged = paths.quantized.slice(heldOutFrom);
  const loss = await negativeLogLikelihood(
    checkpointModel(device, checkpoint, model),
    model,
    heldOut.filter((ids) => ids instanceof Int32Array),
    judged,
    context,
  );
  return Math.exp(loss / (data.heldOut.length * (context.sequence - 1)));
}
