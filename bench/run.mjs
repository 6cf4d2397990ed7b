// `npm run bench`: how near the kernels come to the machine's limits, where the whole job's time goes, and (with a
// Python that has torch) how both stand beside torch, measured in turns. One table a suite on stdout, everything as
// JSON in bench/results/. Numbers mean something on an otherwise idle machine only.
// `npm run bench -- --help` names what can be asked for.
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Device } from '../dist/device/index.js';
import { BallastError } from '../dist/errors.js';
import { measureJob } from './job/run.mjs';
import { measureAlgebra } from './kernels/algebra.mjs';
import { measureMemory } from './kernels/memory.mjs';
import { measureProducts } from './kernels/products.mjs';
import { readOptions, wrong } from './options.mjs';
import { measureReference } from './reference/run.mjs';
import { printRows } from './table.mjs';
import { TorchPeer } from './torch-peer.mjs';

const kernels = { products: measureProducts, algebra: measureAlgebra, memory: measureMemory };
const jobs = { job: measureJob, reference: measureReference };

const options = readOptions(
  [...Object.keys(kernels), ...Object.keys(jobs)],
  ['products', 'algebra', 'memory', 'job'],
);
const { suites, sets } = options;
const ownProducts = process.env.BALLAST_FLOAT32_PRODUCTS ?? '';

/** Devices opened from here on use these instructions, '' for the machine's best; the name of the set alone. */
function useInstructions(kind) {
  const [instructionSet, products = ownProducts] = kind.split('+');
  if (instructionSet !== '') process.env.BALLAST_INSTRUCTION_SET = instructionSet;
  process.env.BALLAST_FLOAT32_PRODUCTS = products;
  return instructionSet;
}

/** torch in another process; undefined, and why on stderr, where that Python has none. */
async function openPeer(instructionSet) {
  if (options.python === undefined) return undefined;
  const threads = options.threads || os.availableParallelism();
  const peer = new TorchPeer(options.python, 'torch-peer.py', threads, instructionSet);
  try {
    return { peer, torch: `, torch ${await peer.version()}` };
  } catch (error) {
    console.error(`${options.python}: ${error.message} Going on without torch.`);
    return undefined;
  }
}

async function measureKernels(suite, instructionSet) {
  const { peer, torch = '' } = (await openPeer(instructionSet)) ?? {};
  const open = (precision) => ({
    device: Device.open('cpu', { threads: options.threads, precision }),
    peer,
    pairs: options.pairs,
  });
  const { device } = open('float32');
  const title = `${suite}: ${device.description}${torch}`;
  device.close();
  const rows = await kernels[suite](open, options);
  peer?.close();
  printRows(title, rows);
  return { title, rows };
}

const results = {};

/** What one suite measured with one kind of instructions. What does not suit the library is told in its own sentence. */
async function measure(suite, kind) {
  try {
    const instructionSet = useInstructions(kind);
    return suite in kernels
      ? await measureKernels(suite, instructionSet)
      : { instructionSet, rows: await jobs[suite]({ ...options, instructionSet }) };
  } catch (error) {
    if (!(error instanceof BallastError)) throw error;
    return wrong(error.message);
  }
}

for (const suite of suites) {
  results[suite] = [];
  for (const kind of sets) results[suite].push(await measure(suite, kind));
}
const machine = {
  cpu: os.cpus()[0]?.model,
  cores: os.availableParallelism(),
  node: process.version,
};
const file =
  options.out ?? fileURLToPath(new URL(`results/${suites.join('-')}.json`, import.meta.url));
mkdirSync(path.dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify({ machine, options, results }, null, 2)}\n`);
console.log(`written to ${path.relative('.', file)}`);
