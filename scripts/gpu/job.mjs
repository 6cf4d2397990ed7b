// The whole job on a generated checkpoint of LLaMA-3-8B's sizes, 512 × 2048 tokens of which an eighth judges: GPTQ at 4
// bits in groups of 128 with joint compensation, then RTN with compensation on the float path alone. Phases of the second
// block (the first one warms up, the last one propagates nothing) stand beside what block-cost.mjs predicts; ×32 is a model.
//
//   node scripts/gpu/job.mjs [device] [blocks]          default cuda:0, 3; some 5 GB on the disk, 3 minutes
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { writeRandomLlama } from '../../bench/job/random-llama.mjs';
import { quantize } from '../../dist/index.js';
import { blockCost, phaseSeconds } from './block-cost.mjs';

const device = process.argv[2] ?? 'cuda:0';
const blocks = Number(process.argv[3] ?? 3);
const sequence = 2048;
const samples = 512;
const modelBlocks = 32;
const excerpt = new URL('../../examples/data/demo-calibration.txt', import.meta.url);
// 1.09 million tokens: enough for the samples, not for more that would judge besides.
const excerptRepeats = 22;

const jobs = {
  gptq: { title: 'GPTQ, 4 bits, groups of 128, joint compensation', limit: '4 s a block' },
  rtn: {
    title: 'RTN, 4 bits, groups of 128, compensation, float path only',
    limit: '60 s for 32 blocks',
    propagate: 'float',
    certificateSamples: 64,
  },
};

/** The report, the phases of each block, and the seconds between the start and the end of the blocks. */
async function run(folder, model, calibration, method, options) {
  const output = path.join(folder, `out-${method}`);
  const events = quantize(model, {
    ...{ output, calibration, device, method, samples, ...options },
    ...{ bits: 4, groupSize: 128, sequenceLength: sequence, precision: 'bfloat16' },
  });
  const measured = [];
  for await (const event of events) {
    if (event.type === 'block') measured.push(event);
    if (event.type !== 'done') continue;
    rmSync(output, { recursive: true });
    return { report: event.report, measured };
  }
  throw new Error('The run ended without a report.');
}

function print({ title, limit }, method, { report, measured }) {
  const { calibrationTokens: tokens, heldOutTokens: judged, seconds, options } = report;
  const { certificateSamples = samples } = options;
  const job = { tokens, judged, sequence, certificateTokens: certificateSamples * sequence };
  const predicted = phaseSeconds(blockCost(method, job));
  const { phases, seconds: whole } = measured[1] ?? measured[0];
  console.log(`\n${title}: ${report.environment.device}, ${tokens} + ${judged} tokens`);
  console.log(`  ${'second block'.padEnd(14)} measured  predicted`);
  const line = (name, own, other = 0) =>
    console.log(
      `  ${name.padEnd(14)} ${own.toFixed(3).padStart(8)} ${other.toFixed(3).padStart(10)}`,
    );
  for (const [phase, own] of Object.entries(phases)) line(phase, own, predicted[phase]);
  const sum = Object.values(predicted).reduce((a, b) => a + b, 0);
  line('block', whole, sum);
  console.log(`  blocks: ${measured.map(({ seconds }) => seconds.toFixed(2)).join(' ')} s`);
  const rest = seconds.total - measured.reduce((total, block) => total + block.seconds, 0);
  const model = modelBlocks * whole + rest;
  console.log(
    `  besides blocks (tokenizing, embedding, head, reading back): ${rest.toFixed(1)} s;` +
      ` ${modelBlocks} blocks: ${model.toFixed(0)} s; the aim: ${limit}`,
  );
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'ballast-job-'));
try {
  const model = await writeRandomLlama(folder, { blocks, positions: sequence });
  const calibration = path.join(folder, 'text.txt');
  writeFileSync(calibration, readFileSync(excerpt, 'utf8').repeat(excerptRepeats));
  for (const [method, { title, limit, ...options }] of Object.entries(jobs)) {
    const finished = await run(folder, model, calibration, method, options);
    print({ title, limit }, method, finished);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
