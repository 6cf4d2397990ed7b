// The machine's own matrix-product rate, GFLOP/s, with all threads: what efficiencies are shares of.
import { Device } from '../../dist/device/index.js';
import { randomMatrix, secondsOf } from '../measure.mjs';

const tokens = 4096;
const width = 2048;

export async function matmulRate(precision, threads = 0) {
  const device = Device.open('cpu', { precision, threads });
  const x = randomMatrix(device, tokens, width);
  const weight = randomMatrix(device, width, width);
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 4; run++) {
    best = Math.min(best, await secondsOf(device, () => device.matmul(x, weight), 0));
  }
  for (const tensor of [x, weight]) tensor.dispose();
  device.close();
  return (2e-9 * tokens * width * width) / best;
}
