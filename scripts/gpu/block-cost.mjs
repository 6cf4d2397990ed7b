// What a block of LLaMA costs on one GPU, by arithmetic: operations that a run queues, in the order of lib/pipeline, with their
// floating-point operations, bytes through the GPU's memory, launches and waits, at rates that are assumed and not measured.
// Products are bfloat16 ones, and so is what they alone read: norms, what attention gives, the gated product. Nothing overlaps
// but the host's queueing with the GPU's work. Run, it prints the table of docs/cuda.md.
import { pathToFileURL } from 'node:url';
import { llama8b } from '../../bench/job/random-llama.mjs';
import { queuedTogether } from '../../dist/execution/queue-each.js';
import { gpuBatchTokens } from '../../dist/pipeline/memory/batch-tokens.js';

/** Of an H200, per second; waits and launches in seconds. */
export const rates = {
  product: 700e12, // bfloat16 products, fed by wgmma
  attention: 350e12, // by mma.sync
  memory: 4e12, // bytes
  host: 8e9, // bytes into memory of the host; the bus gives 50e9
  launch: 5e-6,
  wait: 20e-6,
};

/** bfloat16 products of a float32 one, and of one of the rest of the algebra (`bfloat16x3`). */
const parts = { factor: 6, rest: 3 };
const batchesTogether = queuedTogether({ name: 'cuda:0' });

function secondsOf({ products = 0, attention = 0, bytes = 0, host = 0, chain = 0, ...counts }) {
  const { launches = 0, waits = 0 } = counts;
  const work = products / rates.product + attention / rates.attention + bytes / rates.memory;
  // A chain is what one multiprocessor does while the others have nothing to do.
  const busy = work + chain + host / rates.host;
  return Math.max(busy, launches * rates.launch) + waits * rates.wait;
}

/** Operations on `tokens` tokens, in mini-batches. */
function tokenWork(tokens, sequence) {
  const batches = Math.ceil(tokens / gpuBatchTokens);
  return {
    /** Packs x and the weight, multiplies, writes float32. */
    linear: (inputs, outputs) => ({
      products: 2 * tokens * inputs * outputs,
      bytes: tokens * (6 * inputs + 4 * outputs) + 6 * batches * inputs * outputs,
      launches: 3 * batches,
    }),
    /** The sum over tokens, and the upper triangle of the second moment. */
    moment: (channels) => ({
      products: tokens * channels ** 2,
      bytes: 8 * tokens * channels + 4 * batches * channels ** 2,
      launches: 4 * batches,
    }),
    /** What reads and writes so many bytes a token. */
    pass: (bytes, launches = 1) => ({
      bytes: tokens * bytes,
      launches: launches * batches,
    }),
    attention: (queries, keys) => ({
      attention: 2 * tokens * sequence * queries,
      bytes: tokens * (6 * queries + 12 * keys),
      launches: 2 * batches,
    }),
    // The promise, and queueing the next mini-batches.
    turn: () => ({ waits: 5 * Math.ceil(batches / batchesTogether) }),
  };
}

/** By GPTQ's group of linears [out, in]. */
function groupWork(outs, inputs) {
  const panels = inputs / 64;
  const blocks = inputs / 128;
  const strip = inputs < 8192 ? 1024 : 2048;
  const each = (body) => outs.map(body);
  const product = (out) => 2 * parts.rest * out * inputs ** 2;
  return {
    factor: [
      { bytes: 22 * inputs ** 2, launches: 1 },
      {
        products: (parts.factor / 3) * inputs ** 3,
        bytes: inputs ** 3 / 48,
        chain: panels * 70e-6,
        launches: 7 * panels,
        waits: 1,
      },
    ],
    // Changes go on to later columns; what is carried to a block is answered by its own square.
    sweeps: each((out) => ({
      products: product(out) / 2 + product(out) / blocks,
      bytes: 4 * out * inputs * blocks + 24 * out * inputs,
      chain: 50e-6 + Math.max(blocks * 20e-6, out * inputs * 65e-12),
      launches: 7 * blocks,
    })),
    // A product for each group of columns, of which sums are taken with two matrices of its size.
    refits: each((out) => ({
      products: product(out),
      bytes: 16 * out * inputs * blocks + 20 * inputs ** 2,
      chain: blocks * 20e-6,
      launches: 4 * blocks * Math.ceil(out / 2048),
      waits: 1,
    })),
    forms: (count) =>
      each((out) => ({
        products: (count * product(out) * (inputs + strip)) / (2 * inputs),
        bytes: count * 34 * out * inputs,
        waits: 4 + 2 * count,
      })),
  };
}

/**
 * Rows [phase, what, costs] of a block. `judged` tokens come besides those that are fitted on; of RTN's, `certificateTokens` of
 * both have second moments.
 */
export function blockCost(method, job) {
  const { tokens, judged, sequence, certificateTokens = tokens, shape = llama8b } = job;
  const { hidden, mlp, heads, keyValueHeads, headSize } = shape;
  const [queries, keys] = [heads * headSize, keyValueHeads * headSize];
  const all = tokenWork(tokens + judged, sequence);
  const { linear, moment, pass, attention, turn } = all;
  const norm = pass(6 * hidden);
  const attends = [
    linear(hidden, queries),
    linear(hidden, keys),
    linear(hidden, keys),
    pass(8 * (queries + keys), 2),
    attention(queries, keys),
  ];
  const output = [linear(queries, hidden), pass(4 * hidden, 0)];
  const inner = [linear(hidden, mlp), linear(hidden, mlp), pass(10 * mlp)];
  const down = [linear(mlp, hidden), pass(4 * hidden, 0)];
  const groups = [
    groupWork([queries, keys, keys], hidden),
    groupWork([hidden], queries),
    groupWork([mlp, mlp], hidden),
    groupWork([hidden], mlp),
  ];
  const weights = hidden * (2 * queries + 2 * keys + 3 * mlp);
  const rest = [
    ['compensate', 'certificate', groups.flatMap(({ forms }) => forms(judged > 0 ? 3 : 2))],
    ['write', 'to the host', [{ host: 2 * weights, waits: 40 }]],
  ];
  if (method === 'rtn') {
    const certified = Math.min(tokens, certificateTokens) + Math.min(judged, certificateTokens);
    const some = tokenWork(certified, sequence);
    const moments = [hidden, queries, hidden, mlp].map(some.moment);
    return [
      ['calibrate', 'norms, attention', [norm, ...attends, ...output, norm, turn()]],
      ['calibrate', 'MLP', [...inner, ...down]],
      ['calibrate', 'second moments', moments],
      ['quantize', 'scales, codes', [{ bytes: 20 * weights, waits: 20 }]],
      ...rest,
    ];
  }
  return [
    ['calibrate', 'to q, k, v', [norm, moment(hidden), turn()]],
    ['calibrate', 'to o', [norm, ...attends, moment(queries), turn()]],
    ['calibrate', 'to gate, up', [...output, norm, moment(hidden), turn()]],
    ['calibrate', 'to down', [norm, ...inner, moment(mlp), turn()]],
    ['quantize', 'factorize', groups.flatMap(({ factor }) => factor)],
    ['quantize', 'sweeps', groups.flatMap(({ sweeps }) => sweeps)],
    ['quantize', 'refits', groups.flatMap(({ refits }) => refits)],
    ['propagate', 'down', [...down, turn()]],
    ...rest,
  ];
}

/** Seconds of each phase. */
export function phaseSeconds(rows) {
  const phases = {};
  for (const [phase, , costs] of rows) {
    const seconds = costs.reduce((sum, cost) => sum + secondsOf(cost), 0);
    phases[phase] = (phases[phase] ?? 0) + seconds;
  }
  return phases;
}

/** What a row's seconds go to mostly. */
function boundOf(costs) {
  const total = (name) => costs.reduce((sum, cost) => sum + (cost[name] ?? 0), 0);
  const shares = [
    ['products', total('products') / rates.product + total('attention') / rates.attention],
    ['memory', total('bytes') / rates.memory],
    ['one multiprocessor', total('chain')],
    ['host', total('host') / rates.host],
  ];
  return shares.reduce((most, other) => (other[1] > most[1] ? other : most))[0];
}

function printTable(title, rows) {
  console.log(`| ${title} | 10¹² operations | GB | launches | waits | bound by | seconds |`);
  console.log('|---|--:|--:|--:|--:|---|--:|');
  const line = (name, costs, bound) => {
    const total = (field) => costs.reduce((sum, cost) => sum + (cost[field] ?? 0), 0);
    const work = (total('products') + total('attention')) / 1e12;
    const seconds = costs.reduce((sum, cost) => sum + secondsOf(cost), 0);
    const numbers = [work.toFixed(0), (total('bytes') / 1e9).toFixed(0), total('launches')];
    const cells = [name, ...numbers, total('waits'), bound, seconds.toFixed(3)];
    console.log(`| ${cells.join(' | ')} |`);
  };
  for (const [phase, what, costs] of rows) line(`${phase}: ${what}`, costs, boundOf(costs));
  line(
    'block',
    rows.flatMap(([, , costs]) => costs),
    '',
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const job = { tokens: 448 * 2048, judged: 64 * 2048, sequence: 2048 };
  printTable('GPTQ, 4 bits, groups of 128', blockCost('gptq', job));
  console.log();
  const certificate = { certificateTokens: 64 * 2048 };
  printTable('RTN on the float path', blockCost('rtn', { ...job, ...certificate }));
}
