// `npm run bench`: how near the kernels come to the machine's limits, where the whole job's time goes, and (with a
// Python that has torch) how both stand beside torch, measured in turns. One table a suite on stdout, everything as
// JSON in bench/results/. Numbers mean something on an otherwise idle machine only.
//
//   npm run bench -- [suite…]        products algebra memory job reference; default all but the last
//     --python <path>                compare with torch there
//     --threads <n>                  default one per processor
//     --sets <names>                 instruction sets, comma-separated; default the best that the machine has; with how
//                                    they form float32 products: avx512_bf16+six
//     --precisions <names>           default float32,bfloat16
//     --tokens <counts>              rows of products, default 2048,16384
//     --peer-states float32          products take and give float32 on both sides, torch's too, instead of their own dtype
//     --pairs <n>                    turns of each measurement, default 5
//     --widths, --models, --samples, --sequence, --method     of the job; see job/run.mjs. '' for no widths, no models
//     --quick                        a few shapes
//     --out <file>                   default bench/results/<suites>.json
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Device } from '../dist/device/index.js';
import { measureJob } from './job/run.mjs';
import { measureAlgebra } from './kernels/algebra.mjs';
import { measureMemory } from './kernels/memory.mjs';
import { measureProducts } from './kernels/products.mjs';
import { measureReference } from './reference/run.mjs';
import { printRows } from './table.mjs';
import { TorchPeer } from './torch-peer.mjs';

const kernels = { products: measureProducts, algebra: measureAlgebra, memory: measureMemory };
const jobs = { job: measureJob, reference: measureReference };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: 'string' },
    threads: { type: 'string', default: '0' },
    sets: { type: 'string', default: '' },
    precisions: { type: 'string', default: 'float32,bfloat16' },
    tokens: { type: 'string', default: '2048,16384' },
    'peer-states': { type: 'string', default: '' },
    pairs: { type: 'string', default: '5' },
    widths: { type: 'string', default: '768,1024,2048' },
    models: { type: 'string' },
    samples: { type: 'string', default: '64' },
    sequence: { type: 'string', default: '512' },
    method: { type: 'string', default: 'gptq' },
    quick: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});
const split = (text) => text.split(',').filter((part) => part !== '');
const wrong = (message) => {
  console.error(message);
  process.exit(2);
};
const counts = (option) => {
  const list = split(values[option]).map(Number);
  if (list.every((count) => Number.isInteger(count) && count > 0)) return list;
  return wrong(
    `Expected whole numbers for --${option} but received ${values[option]}; none are ''.`,
  );
};
const suites = positionals.length > 0 ? positionals : ['products', 'algebra', 'memory', 'job'];
const unknown = suites.filter((suite) => !(suite in { ...kernels, ...jobs }));
if (unknown.length > 0) {
  wrong(`No suite ${unknown}; there are ${Object.keys({ ...kernels, ...jobs })}.`);
}
const missing = split(values.models ?? '').filter((directory) => !existsSync(directory));
if (missing.length > 0) wrong(`No model in ${missing}; none are --models ''.`);
const options = {
  ...values,
  threads: Number(values.threads),
  pairs: Number(values.pairs),
  peerStates: values['peer-states'],
  samples: Number(values.samples),
  sequence: Number(values.sequence),
  precisions: split(values.precisions),
  tokens: counts('tokens'),
  widths: counts('widths'),
};

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
  if (values.python === undefined) return undefined;
  const threads = options.threads || os.availableParallelism();
  const peer = new TorchPeer(values.python, 'torch-peer.py', threads, instructionSet);
  try {
    return { peer, torch: `, torch ${await peer.version()}` };
  } catch (error) {
    console.error(`${values.python}: ${error.message} Going on without torch.`);
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

const sets = values.sets === '' ? [''] : split(values.sets);
const results = {};
for (const suite of suites) {
  results[suite] = [];
  for (const kind of sets) {
    const instructionSet = useInstructions(kind);
    results[suite].push(
      suite in kernels
        ? await measureKernels(suite, instructionSet)
        : { instructionSet, rows: await jobs[suite]({ ...options, instructionSet }) },
    );
  }
}
const machine = {
  cpu: os.cpus()[0]?.model,
  cores: os.availableParallelism(),
  node: process.version,
};
const file =
  values.out ?? fileURLToPath(new URL(`results/${suites.join('-')}.json`, import.meta.url));
mkdirSync(path.dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify({ machine, options, results }, null, 2)}\n`);
console.log(`written to ${path.relative('.', file)}`);
