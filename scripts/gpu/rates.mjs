// Rates of the operations on a GPU at the shapes of large models: TFLOP/s of products and attention, GB/s (bytes read plus bytes
// written) of what moves memory, and the share of the copy rate of the same run. torch-rates.py prints the peer's.
//
//   node scripts/gpu/rates.mjs [device]          default cuda:0
import { createHash } from 'node:crypto';
import { randomMatrix } from '../../bench/measure.mjs';
import { Device } from '../../dist/device/index.js';

const name = process.argv[2] ?? 'cuda:0';
const runs = 20;

/** Seconds of one call, over a queue of calls; the first ones are not counted. */
async function seconds(device, enqueue) {
  for (let run = 0; run < 3; ++run) device.scope(() => void enqueue());
  await device.synchronize();
  const from = performance.now();
  for (let run = 0; run < runs; ++run) device.scope(() => void enqueue());
  await device.synchronize();
  return (performance.now() - from) / 1e3 / runs;
}

const products = [
  [8192, 8192, 8192],
  [16384, 4096, 4096],
  [16384, 14336, 4096],
];

/** The first digits of a hash of all elements. */
async function fingerprint(...tensors) {
  const hash = createHash('sha256');
  for (const tensor of tensors) hash.update(await tensor.readFloat32());
  return hash.digest('hex').slice(0, 8);
}

/**
 * Of what a run of this precision gives them, on one of their kernels; the two of wgmma give the same digits, so results have
 * the same hash.
 */
async function measureProducts(precision, kernel) {
  process.env.BALLAST_CUDA_PRODUCTS = kernel;
  let device;
  try {
    device = Device.open(name, { precision });
  } catch (error) {
    return console.log(error.message);
  } finally {
    delete process.env.BALLAST_CUDA_PRODUCTS;
  }
  console.log(
    `${device.description}, ${precision} products (${kernel}), bfloat16 weights: TFLOP/s`,
  );
  for (const [tokens, out, channels] of products) {
    const x = randomMatrix(device, tokens, channels, precision);
    const weight = randomMatrix(device, out, channels, 'bfloat16');
    const sum = device.zeros('float32', [channels, channels]);
    const product = device.matmul(x, weight);
    const matmul = await seconds(device, () => device.matmul(x, weight));
    const moment = await seconds(device, () => device.secondMoment(x, sum));
    const rate = (work, time) => ((work / time) * 1e-12).toFixed(1).padStart(7);
    const full = 2 * tokens * channels * channels;
    console.log(
      `  [${tokens}] x [${out}, ${channels}]`.padEnd(28),
      `matmul ${rate(2 * tokens * out * channels, matmul)}`,
      ` second moment, counted as the full product ${rate(full, moment)}`,
      ` digits ${await fingerprint(product, sum)}`,
    );
    for (const tensor of [x, weight, sum, product]) tensor.dispose();
  }
  device.close();
}

/** As in a block of LLaMA-3-8B. Of the products, causal attention needs half. */
async function measureAttention(precision) {
  const device = Device.open(name, { precision });
  const [batch, sequence, heads, keyValueHeads, headSize] = [8, 2048, 32, 8, 128];
  const query = randomMatrix(device, batch * sequence, heads * headSize);
  const [key, value] = [1, 2].map(() =>
    randomMatrix(device, batch * sequence, keyValueHeads * headSize),
  );
  const scale = headSize ** -0.5;
  const options = { sequence, heads, keyValueHeads, scale, dtype: precision };
  const time = await seconds(device, () => device.attention(query, key, value, options));
  const rate = ((2 * batch * heads * headSize * sequence ** 2) / time) * 1e-12;
  console.log(
    `${precision} attention, causal: ${batch} x ${sequence} tokens, ${heads} heads of ${headSize}, ${keyValueHeads} of keys`,
    ` ${rate.toFixed(1)} TFLOP/s`,
  );
  device.close();
}

async function measureMemory() {
  const device = Device.open(name);
  const [rows, columns] = [16384, 4096];
  const x = randomMatrix(device, rows, columns);
  const narrow = device.cast(x, 'bfloat16');
  const [weight, bias] = [randomMatrix(device, 1, columns), randomMatrix(device, 1, columns)];
  const [w, b] = [weight, bias].map((row) => device.reshape(row, [columns]));
  const head = device.reshape(randomMatrix(device, 1, 128), [128]);
  const [cos, sin] = [randomMatrix(device, 2048, 64), randomMatrix(device, 2048, 64)];
  const sum = device.zeros('float64', [columns]);
  const fake = (granularity) => device.fakeQuantize(x, { bits: 8, granularity });
  // Times the size of x: how often it must be read or written at least.
  const cases = [
    ['copy', 2, () => device.scale(x, 1)],
    ['add', 3, () => device.add(x, x)],
    ['multiply to bfloat16', 2.5, () => device.multiply(x, x, 'bfloat16')],
    ['add a row to each', 2, () => device.add(x, w)],
    ['gelu', 2, () => device.activate('gelu', x)],
    ['layer norm', 2, () => device.layerNorm(x, w, b, 1e-5)],
    ['rms norm', 2, () => device.rmsNorm(x, w, 1e-5)],
    ['rms norm to bfloat16', 1.5, () => device.rmsNorm(x, w, 1e-5, 0, 'bfloat16')],
    ['rms norm per head', 2, () => device.rmsNorm(x, head, 1e-5)],
    ['rotary embedding', 2, () => device.rope(x, cos, sin, { sequence: 2048, headSize: 128 })],
    ['fake quantization, per row', 2, () => fake('row')],
    ['fake quantization, per tensor', 3, () => fake('tensor')],
    ['channel sum', 1, () => device.channelSum(x, sum)],
    ['channel sum of bfloat16', 0.5, () => device.channelSum(narrow, sum)],
    ['transpose', 2, () => device.transpose(x)],
  ];
  console.log(`[${rows}, ${columns}] float32: GB/s and share of the copy`);
  let copy = 0;
  for (const [label, passes, enqueue] of cases) {
    const rate = ((passes * rows * columns * 4) / (await seconds(device, enqueue))) * 1e-9;
    copy ||= rate;
    console.log(
      `  ${label.padEnd(30)} ${rate.toFixed(0).padStart(6)} ${((100 * rate) / copy).toFixed(0).padStart(4)} %`,
    );
  }
  device.close();
}

async function measureQuantization() {
  const device = Device.open(name);
  const [out, channels] = [4096, 4096];
  const weight = randomMatrix(device, out, channels);
  const sum = device.zeros('float32', [channels, channels]);
  device.secondMoment(randomMatrix(device, 2 * channels, channels), sum);
  const zero = device.zeros('float64', [channels]);
  const moment = device.moment(sum, zero, zero, {
    count: 2 * channels,
    centred: false,
    symmetric: true,
  });
  const grid = { bits: 4, groupSize: 128, symmetric: false, clipSteps: 0, clipRange: 0.8 };
  const options = { ...grid, clipExponent: 2.4, scaleDtype: 'float16' };
  const { factor } = device.factorize(moment, 0.01, 1);
  const cases = [
    ['factorize', () => device.factorize(moment, 0.01, 1)],
    ['gptq, groups of 128', () => device.gptq(weight, factor, options)],
    ['find scales', () => device.findScales(weight, options)],
    [
      'find scales, 80 clipping steps',
      () => device.findScales(weight, { ...options, clipSteps: 80 }),
    ],
  ];
  console.log(`[${out}, ${channels}]: milliseconds`);
  for (const [label, enqueue] of cases) {
    const time = await seconds(device, enqueue);
    console.log(`  ${label.padEnd(30)} ${(time * 1e3).toFixed(2).padStart(9)}`);
  }
  device.close();
}

for (const precision of ['bfloat16', 'float32']) {
  for (const kernel of ['wgmma', 'wgmma-pairs', 'mma.sync'])
    await measureProducts(precision, kernel);
  await measureAttention(precision);
}
await measureMemory();
await measureQuantization();
