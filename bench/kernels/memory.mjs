// What moves memory: GB/s of the bytes that must be read or written at least, and the share of what a plain copy
// reaches in turns with it; attention and softmax, which compute as well, in their own units beside them.
import { compare, randomFloats, randomMatrix } from '../measure.mjs';

const columns = 1024;
const heads = 16;
const sequence = 512;

/** Passes: times that a matrix is read or written at least. */
function casesOf(device, x, [weight, bias], sum) {
  const fake = (granularity) => () => device.fakeQuantize(x, { bits: 8, granularity });
  return [
    { name: 'copy', passes: 2, op: 'copy', enqueue: () => device.activate('none', x) },
    { name: 'add', passes: 3, op: 'add', enqueue: () => device.add(x, x) },
    { name: 'gelu', passes: 2, op: 'gelu', enqueue: () => device.activate('gelu', x) },
    {
      name: 'layer norm',
      passes: 2,
      op: 'layer_norm',
      enqueue: () => device.layerNorm(x, weight, bias, 1e-5),
    },
    {
      name: 'RMS norm',
      passes: 2,
      op: 'rms_norm',
      enqueue: () => device.rmsNorm(x, weight, 1e-5),
    },
    {
      name: 'fake quantization, per row',
      passes: 2,
      op: 'fake_quantize',
      enqueue: fake('row'),
    },
    { name: 'fake quantization, per tensor', passes: 3, enqueue: fake('tensor') },
    {
      name: 'channel sum',
      passes: 1,
      op: 'channel_sum',
      enqueue: () => device.channelSum(x, sum),
    },
    { name: 'to bfloat16', passes: 1.5, enqueue: () => device.cast(x, 'bfloat16') },
    { name: 'transpose', passes: 2, enqueue: () => device.transpose(x) },
    {
      name: 'softmax',
      passes: 2,
      op: 'softmax',
      enqueue: () => device.softmax(x, { sequence: columns, heads: 1, scale: 1, causal: false }),
    },
  ];
}

async function measureSize(context, rows, size) {
  const { device } = context;
  const x = randomMatrix(device, rows, columns);
  const weight = device.upload('float32', [columns], randomFloats(columns, 2));
  const bias = device.upload('float32', [columns], randomFloats(columns, 3));
  const sum = device.zeros('float64', [columns]);
  const bytes = 4 * rows * columns;
  const found = [];
  const beside = () => device.activate('none', x);
  for (const { name, passes, op, enqueue } of casesOf(device, x, [weight, bias], sum)) {
    const request = op === undefined ? undefined : { op, shape: [rows, columns] };
    const { besideRatio, ...measured } = await compare({ ...context, request, enqueue, beside });
    const dtype = `${size}, ${Math.round(bytes / 2 ** 20)} MiB`;
    const gbps = (passes * bytes) / measured.seconds / 1e9;
    found.push({ name, dtype, ...measured, gbps, shareOfCopy: (passes / 2) * besideRatio });
  }
  for (const tensor of [x, weight, bias, sum]) tensor.dispose();
  return found;
}

async function attentionRow(context, tokens) {
  const { device } = context;
  const size = columns / heads;
  const query = randomMatrix(device, tokens, columns);
  const options = { sequence, heads, scale: size ** -0.5 };
  const measured = await compare({
    ...context,
    request: { op: 'attention', shape: [tokens, heads, size] },
    enqueue: () => device.attention(query, query, query, options),
  });
  query.dispose();
  // Two products over the keys that a query sees, half of them on the average.
  const gflops = (2 * tokens * sequence * columns) / measured.seconds / 1e9;
  return {
    name: `attention, ${heads} heads of ${size}`,
    dtype: `float32, ${tokens} tokens`,
    ...measured,
    gflops,
  };
}

export async function measureMemory(open, { quick }) {
  const context = open('float32');
  const rows = await measureSize(context, 2048, 'of a mini-batch');
  // 64 MiB: the device still recycles the memory of results, of larger ones it would fill fresh pages.
  if (!quick) rows.push(...(await measureSize(context, 16384, 'beyond the caches')));
  rows.push(await attentionRow(context, 2048));
  context.device.close();
  return rows;
}
