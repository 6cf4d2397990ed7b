// The whole job, phase by phase, on generated models of two blocks and on real ones: seconds, the share of the
// machine's own matrix-product rate that the unavoidable operations reach, and what compensation adds to the same run
// without it. Runs with and without alternate; medians are reported.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { median } from '../measure.mjs';
import { matmulRate } from './matmul-rate.mjs';
import { defaultModels, quantizeOnce } from './quantize-once.mjs';
import { writeRandomOpt } from './random-opt.mjs';

/**
 * Operations that no program can avoid on blocks of width C: 24·N·C² for each of two paths and, counted low, 10·N·C² for
 * the symmetric second moments of the input groups.
 */
function floorOperations({ layers, calibrationTokens }, width) {
  const blocks = layers.filter(({ name }) => name.endsWith('fc1')).length;
  return blocks * (24 + 24 + 10) * calibrationTokens * width ** 2;
}

async function measureModel({ directory, width }, precision, options, folder) {
  const plain = [];
  const compensated = [];
  const rates = [];
  for (let pair = 0; pair < options.pairs; pair++) {
    rates.push(await matmulRate(precision, options.threads));
    const job = { ...options, precision, folder };
    plain.push(await quantizeOnce(directory, { ...job, compensation: 'none' }));
    compensated.push(await quantizeOnce(directory, { ...job, compensation: 'channel' }));
  }
  const phases = Object.fromEntries(
    Object.keys(compensated[0].seconds).map((phase) => [
      phase,
      median(compensated.map(({ seconds }) => seconds[phase])),
    ]),
  );
  const ratios = compensated.map(({ seconds }, i) => seconds.total / plain[i].seconds.total);
  const gflops = median(rates);
  const floor = floorOperations(compensated[0], width) / (gflops * 1e9);
  return {
    model: path.basename(directory),
    precision,
    phases,
    compensationRatio: median(ratios),
    matmulGflops: gflops,
    // Reading, tokenizing and writing are no products: they are not counted.
    efficiency: floor / (phases.total - phases.load - phases.write),
    peakMemoryBytes: Math.max(...compensated.map(({ peakMemoryBytes }) => peakMemoryBytes)),
  };
}

function print({ model, precision, phases, compensationRatio, matmulGflops, efficiency }) {
  const parts = Object.entries(phases).map(([phase, seconds]) => `${phase} ${seconds.toFixed(2)}`);
  console.log(`  ${model}, ${precision}: seconds: ${parts.join(', ')}`);
  const added = (100 * (compensationRatio - 1)).toFixed(1);
  const share = (100 * efficiency).toFixed(0);
  console.log(
    `    efficiency ${share} % of ${matmulGflops.toFixed(0)} GFLOP/s; compensation adds ${added} %`,
  );
}

export async function measureJob(options) {
  const set = options.instructionSet === '' ? '' : `, ${options.instructionSet}`;
  console.log(`\njob: ${options.method}, ${options.samples} x ${options.sequence} tokens${set}`);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'ballast-bench-'));
  const results = [];
  try {
    const models = defaultModels(options.models);
    for (const width of options.widths) {
      models.push({ width, directory: await writeRandomOpt(folder, { width, blocks: 2 }) });
    }
    for (const model of models) {
      for (const precision of options.precisions) {
        const result = await measureModel(model, precision, options, folder);
        print(result);
        results.push(result);
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return results;
}
