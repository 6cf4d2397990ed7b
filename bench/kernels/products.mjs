// Matrix products at the shapes of real layers: GFLOP/s, and the share of the best rate that any shape reached in the
// same run with the same instructions, which is near the machine's peak. A second moment counts the operations of its
// upper triangle, since no more are needed; the peer's ratio compares times.
import { compare, randomMatrix } from '../measure.mjs';

const layers = [
  [768, 768],
  [768, 3072],
  [3072, 768],
  [2048, 2048],
  [4096, 4096],
];
const momentWidths = [768, 2048, 3072];
/** Fits the caches whole: what the kernel itself can do. */
const inCache = { tokens: 448, out: 256, channels: 512 };

function products({ tokens, quick }) {
  const shapes = quick ? layers.slice(0, 3) : layers;
  return [
    inCache,
    ...tokens.flatMap((n) => shapes.map(([out, channels]) => ({ tokens: n, out, channels }))),
    ...(quick ? [] : [1, 8].map((n) => ({ tokens: n, out: 4096, channels: 4096 }))),
  ];
}

async function matmulRow(context, precision, weightDtype, { tokens, out, channels }) {
  const { device, peerOp, states } = context;
  const x = randomMatrix(device, tokens, channels, states);
  const weight = randomMatrix(device, out, channels, weightDtype);
  const operations = 2 * tokens * out * channels;
  // A float16 weight has no peer: torch would convert or fall back.
  const request =
    weightDtype === 'float16'
      ? undefined
      : { op: peerOp, shape: [tokens, out, channels], dtype: precision };
  const measured = await compare({
    ...context,
    request,
    enqueue: () => device.matmul(x, weight),
  });
  for (const tensor of [x, weight]) tensor.dispose();
  const name = `matmul [${tokens}] x [${out}, ${channels}]`;
  return { name, dtype: `${precision}, ${weightDtype} weight`, operations, ...measured };
}

async function momentRow(context, precision, tokens, channels) {
  const { device, states } = context;
  const x = randomMatrix(device, tokens, channels, states);
  const sum = device.zeros('float32', [channels, channels]);
  const measured = await compare({
    ...context,
    request: { op: 'second_moment', shape: [tokens, channels], dtype: precision },
    enqueue: () => device.secondMoment(x, sum),
  });
  for (const tensor of [x, sum]) tensor.dispose();
  const operations = tokens * channels * (channels + 1);
  return {
    name: `second moment [${tokens}, ${channels}]`,
    dtype: precision,
    operations,
    ...measured,
  };
}

export async function measureProducts(open, options) {
  const rows = [];
  const wide = options.peerStates === 'float32';
  const peerOp = wide ? 'matmul_of_float32' : 'matmul';
  for (const precision of options.precisions) {
    // What linears read is bfloat16 where their products are.
    const context = { ...open(precision), peerOp, states: wide ? 'float32' : precision };
    const own = [];
    for (const shape of products(options)) {
      own.push(await matmulRow(context, precision, precision, shape));
    }
    if (!options.quick) {
      const half = { tokens: options.tokens[0], out: 2048, channels: 2048 };
      own.push(await matmulRow(context, precision, 'float16', half));
    }
    for (const width of options.quick ? momentWidths.slice(0, 1) : momentWidths) {
      own.push(await momentRow(context, precision, options.tokens[0], width));
    }
    context.device.close();
    const best = Math.max(...own.map(({ operations, seconds }) => operations / seconds));
    for (const { operations, ...row } of own) {
      const rate = operations / row.seconds;
      rows.push({ ...row, gflops: rate / 1e9, shareOfBest: rate / best });
    }
  }
  return rows;
}
