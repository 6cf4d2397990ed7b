// The machine's own matrix-product rate, GFLOP/s, with all threads: what efficiencies are shares of.
import { Device } from '../../dist/device/index.js';

const tokens = 4096;
const width = 2048;

export async function matmulRate(precision) {
  const device = Device.open('cpu', { precision });
  const values = Float32Array.from(
    { length: tokens * width },
    (_, i) => ((i * 7919) % 1000) / 1000 - 0.5,
  );
  const x = device.upload('float32', [tokens, width], values);
  const weight = device.upload('float32', [width, width], values.subarray(0, width * width));
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 4; run++) {
    const begin = performance.now();
    device.scope(() => void device.matmul(x, weight));
    await device.synchronize();
    best = Math.min(best, performance.now() - begin);
  }
  device.close();
  return (2e-6 * tokens * width * width) / best;
}
