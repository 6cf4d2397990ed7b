// The search over sites: every combination is scored on held-out samples, the best is what is written, and what it was
// scored by is what the written model has there.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { calibrationSamples } from '../../lib/calibration/samples.js';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { loadTokenizer } from '../../lib/checkpoint/tokenizer/tokenizer.js';
import { Device } from '../../lib/device/index.js';
import { evaluatePerplexity } from '../../lib/evaluate/index.js';
import { checkpointModel, PerDevice } from '../../lib/execution/index.js';
import { type Candidate, type SearchReport, search } from '../../lib/index.js';
import { readModel } from '../../lib/models/index.js';
import { exampleText, temporaryFolder } from '../places.js';
import { randomOpt } from './random-opt.js';
import { finish } from './runs.js';

const options = {
  method: 'rtn',
  bits: 2,
  samples: 8,
  sequenceLength: 64,
  sampling: 'sequential',
  heldOut: 0.25,
} as const;

const nameOf = ({ sites }: Pick<Candidate, 'sites'>) => sites.join(' + ');

/** Of the model in a directory, on the two windows that the search holds out. */
async function heldOutPerplexity(directory: string): Promise<number> {
  const text = await readFile(exampleText, 'utf8');
  const tokenizer = await loadTokenizer(directory);
  const tokens = await tokenizer.encode(text);
  await tokenizer.close();
  const windows = calibrationSamples(tokens, { ...options, samples: 10, seed: 0 }).slice(8);
  const checkpoint = await Checkpoint.open(directory);
  const model = readModel(checkpoint.config, new Set(checkpoint.tensors.keys()));
  const device = Device.open('cpu', { threads: 2 });
  try {
    const stored = PerDevice.make([device], () => checkpointModel(device, checkpoint, model));
    return (await evaluatePerplexity(stored, model, windows)).perplexity;
  } finally {
    device.close();
  }
}

it('scores every combination of sites and writes the best', async () => {
  const folder = await temporaryFolder();
  const shape = { blocks: 2, hiddenSize: 64, mlpSize: 128, preNorm: true };
  const model = await randomOpt(await temporaryFolder(), shape);
  const output = join(folder, 'new', 'result');
  const told: Candidate[] = [];
  const events = search(model, { ...options, calibration: exampleText, output });
  let found: SearchReport | undefined;
  while (found === undefined) {
    const { value, done } = await events.next();
    if (done) found = value;
    else if (value.type === 'candidate') told.push(value.candidate);
  }
  const { candidates, report } = found;
  // linear, attention, mlp, block and model, each with or without.
  expect(new Set(candidates.map(nameOf)).size).toBe(32);
  expect(candidates).toHaveLength(32);
  const scores = candidates.map(({ heldOutPerplexity }) => heldOutPerplexity ?? Number.NaN);
  expect(scores).toEqual([...scores].sort((a, b) => a - b));
  expect(new Set(scores).size).toBeGreaterThan(16);
  expect(told).toHaveLength(32);
  expect(report.options.sites).toEqual(candidates[0]?.sites);
  const best = await finish(model, { ...options, sites: report.options.sites });
  expect(best.report.layers).toEqual(report.layers);
});

it('scores no compensation by weights that expect none, and activations as they will be', async () => {
  const output = join(await temporaryFolder(), 'result');
  const shape = { blocks: 1, hiddenSize: 64, mlpSize: 128, preNorm: true };
  const model = await randomOpt(await temporaryFolder(), shape);
  const activations = { activationBits: 4, activationSites: ['linear', 'attention'] } as const;
  // All but the compensation is as the search was told, and a joint fit refits scales unless told otherwise.
  const gptq = { ...options, ...activations, method: 'gptq', refit: 'scales' } as const;
  const events = search(model, { ...gptq, calibration: exampleText, output });
  let found: SearchReport | undefined;
  while (found === undefined) {
    const { value, done } = await events.next();
    if (done) found = value;
  }
  const { directory } = await finish(model, { ...gptq, compensation: 'none' });
  const score = found.candidates.find(({ sites }) => sites.length === 0)?.heldOutPerplexity ?? 0;
  expect(score / (await heldOutPerplexity(directory))).toBeCloseTo(1, 5);
});
