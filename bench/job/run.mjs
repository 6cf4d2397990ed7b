// The whole job, phase by phase, on generated models of two blocks (and any real ones given): seconds, the share of the
// machine's own matrix-product rate that the unavoidable operations reach, and what compensation adds to the same run
// without it. Runs alternate; medians are reported, and everything goes to bench/results/job.json.
//   node bench/job/run.mjs [--widths 768,1024] [--models dir,…] [--runs 5] [--samples 64] [--sequence 512]
//                          [--precision float32|bfloat16] [--method name] [--out file.json]
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { quantize } from '../../dist/index.js';
import { matmulRate } from './matmul-rate.mjs';
import { writeRandomModel } from './random-model.mjs';

const { values } = parseArgs({
  options: {
    widths: { type: 'string', default: '768,1024' },
    models: { type: 'string', default: '' },
    runs: { type: 'string', default: '5' },
    samples: { type: 'string', default: '64' },
    sequence: { type: 'string', default: '512' },
    precision: { type: 'string', default: 'float32' },
    method: { type: 'string', default: 'gptq' },
    out: {
      type: 'string',
      default: fileURLToPath(new URL('../results/job.json', import.meta.url)),
    },
  },
});
const runs = Number(values.runs);
const samples = Number(values.samples);
const sequenceLength = Number(values.sequence);
const calibration = fileURLToPath(
  new URL('../../examples/data/demo-calibration.txt', import.meta.url),
);
const split = (text) => text.split(',').filter((part) => part !== '');
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

async function once(model, compensation, folder) {
  const output = mkdtempSync(path.join(folder, 'out-'));
  const options = {
    output,
    calibration,
    samples,
    sequenceLength,
    sampling: 'sequential',
    heldOut: 0,
    bits: 3,
    method: values.method,
    precision: values.precision,
    compensation,
  };
  let report;
  for await (const event of quantize(model, options)) {
    if (event.type === 'done') report = event.report;
  }
  rmSync(output, { recursive: true });
  return report;
}

/** Operations that no program can avoid: both paths once, and one symmetric second moment for each input group. */
function floorOperations(report) {
  const tokens = report.calibrationTokens;
  // An OPT block of width C: 12 C² weights; inputs of its four groups are C, C, C and 4C wide.
  const widths = report.layers.filter(({ name }) => name.endsWith('q_proj')).length;
  const perBlock = 24 + 24 + 10;
  return (width) => widths * perBlock * tokens * width * width;
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'ballast-bench-'));
const results = [];
try {
  const models = [...split(values.models).map((directory) => ({ directory }))];
  for (const width of split(values.widths).map(Number)) {
    models.push({ width, directory: await writeRandomModel(folder, { width, blocks: 2 }) });
  }
  for (const { directory, width } of models) {
    const plain = [];
    const compensated = [];
    const rates = [];
    for (let run = 0; run < runs; run++) {
      rates.push(await matmulRate(values.precision));
      plain.push(await once(directory, 'none', folder));
      compensated.push(await once(directory, 'channel', folder));
    }
    const seconds = (reports, phase) => median(reports.map((report) => report.seconds[phase]));
    const rate = median(rates);
    const phases = Object.fromEntries(
      Object.keys(compensated[0].seconds).map((phase) => [phase, seconds(compensated, phase)]),
    );
    const pairs = compensated.map((report, i) => report.seconds.total / plain[i].seconds.total);
    const work = phases.total - phases.load - phases.write;
    const result = {
      model: path.basename(directory),
      precision: values.precision,
      phases,
      compensationRatio: median(pairs),
      matmulGflops: rate,
      efficiency:
        width === undefined
          ? undefined
          : floorOperations(compensated[0])(width) / work / (rate * 1e9),
      peakMemoryBytes: Math.max(...compensated.map(({ peakMemoryBytes }) => peakMemoryBytes)),
    };
    results.push(result);
    console.log(JSON.stringify(result));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
mkdirSync(path.dirname(values.out), { recursive: true });
const machine = {
  cpu: os.cpus()[0]?.model,
  cores: os.availableParallelism(),
  node: process.version,
};
writeFileSync(
  values.out,
  `${JSON.stringify({ machine, runs, samples, sequenceLength, results }, null, 2)}\n`,
);
