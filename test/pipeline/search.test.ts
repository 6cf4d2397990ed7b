// The search over sites: every combination is scored on held-out samples, the best is what is written, and what it was
// scored by is what the written model has there.

import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type Candidate, type SearchReport, search } from '../../lib/index.js';
import { randomOpt } from './random-opt.js';
import { exampleText, finish, temporaryFolder } from './runs.js';

const options = {
  method: 'rtn',
  bits: 2,
  samples: 8,
  sequenceLength: 64,
  sampling: 'sequential',
  heldOut: 0.25,
} as const;

const nameOf = ({ sites }: Pick<Candidate, 'sites'>) => sites.join(' + ');

it('scores every combination of sites and writes the best', async () => {
  const folder = await temporaryFolder();
  const shape = { blocks: 2, hiddenSize: 64, mlpSize: 128, preNorm: true };
  const model = await randomOpt(await temporaryFolder(), shape);
  const output = join(folder, 'result');
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
  const scores = candidates.map(({ heldOutPerplexity }) => heldOutPerplexity);
  expect(scores).toEqual([...scores].sort((a, b) => a - b));
  expect(new Set(scores).size).toBeGreaterThan(16);
  expect(told).toHaveLength(32);
  expect(report.options.sites).toEqual(candidates[0]?.sites);
  const best = await finish(model, { ...options, sites: report.options.sites });
  expect(best.report.layers).toEqual(report.layers);
});
