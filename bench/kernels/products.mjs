// GFLOP/s of the operations that are matrix products, at the shapes of real layers, through the public device: the best
// of the runs that fit into a quarter of a second each. Beside each figure stands its share of the best figure of the
// same precision in this run, which is near the machine's peak for one of the shapes. Run with `npm run compile` done:
//   node bench/kernels/products.mjs [threads]
import { Device } from '../../dist/device/index.js';

const budgetMs = 250;
const shapes = [
  [2048, 256, 256],
  [2048, 1024, 256],
  [2048, 256, 1024],
  [2048, 3072, 768],
  [2048, 4096, 4096],
  [511, 8192, 256],
  [1, 4096, 4096],
];

const random = (count) => Float32Array.from({ length: count }, () => Math.random() - 0.5);

/** Seconds of the fastest call of `enqueue`, queue and event loop included. */
async function fastest(device, enqueue) {
  let best = Infinity;
  const begin = performance.now();
  for (let run = 0; run < 3 || performance.now() - begin < budgetMs; ++run) {
    const from = performance.now();
    device.scope(() => void enqueue());
    await device.synchronize();
    best = Math.min(best, performance.now() - from);
  }
  return best / 1e3;
}

async function measure(device, [tokens, out, channels]) {
  const x = device.upload('float32', [tokens, channels], random(tokens * channels));
  const weight = device.upload('float32', [out, channels], random(out * channels));
  const sum = device.zeros('float32', [channels, channels]);
  const matmul = await fastest(device, () => device.matmul(x, weight));
  const moment = await fastest(device, () => device.secondMoment(x, sum));
  for (const tensor of [x, weight, sum]) tensor.dispose();
  return {
    matmul: (2e-9 * tokens * out * channels) / matmul,
    // A product of two different factors would take twice as many operations.
    secondMoment: (1e-9 * tokens * channels * (channels + 1)) / moment,
  };
}

const threads = Number(process.argv[2] ?? 0);
for (const precision of ['float32', 'bfloat16']) {
  const device = Device.open('cpu', { threads, precision });
  console.log(`${precision} products, ${device.description}: GFLOP/s`);
  const figures = [];
  for (const shape of shapes) figures.push({ shape, ...(await measure(device, shape)) });
  const best = Math.max(...figures.map((figure) => figure.matmul));
  const column = (rate) =>
    `${rate.toFixed(1).padStart(8)} ${((100 * rate) / best).toFixed(0).padStart(3)} %`;
  for (const { shape, matmul, secondMoment } of figures) {
    const name = `[${shape[0]}] x [${shape[1]}, ${shape[2]}]`.padEnd(24);
    console.log(`  ${name} matmul ${column(matmul)}   second moment ${column(secondMoment)}`);
  }
  device.close();
}
