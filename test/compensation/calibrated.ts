// Small groups of inputs with their statistics, and what linears make of them in float64.

import type { Device } from '../../lib/device/index.js';
import { type GroupNeeds, type GroupStatistics, GroupSums } from '../../lib/statistics/index.js';
import { at, float32, normals } from '../native/harness.js';

/** [tokens, channels], row-major. */
export interface Rows {
  readonly values: Float32Array;
  readonly channels: number;
}

/** Correlated inputs with means: a random mixture of a few sources and a little noise. */
export function correlated(tokens: number, channels: number, seed: number, mean = 0.5): Rows {
  const sources = 6;
  const mixture = normals(sources * channels, 100);
  const means = normals(channels, 101, mean, mean);
  const drawn = normals(tokens * sources, seed);
  const noise = normals(tokens * channels, seed + 1, 0.3);
  const values = noise.map((value, index) => {
    const [token, channel] = [Math.floor(index / channels), index % channels];
    let sum = value + at(means, channel);
    for (let k = 0; k < sources; k++) {
      sum += at(drawn, token * sources + k) * at(mixture, k * channels + channel);
    }
    return sum;
  });
  return { values, channels };
}

export async function statisticsOf(
  device: Device,
  sequence: number,
  needs: Partial<GroupNeeds>,
  { float, quantized }: { readonly float?: Rows; readonly quantized: Rows },
): Promise<GroupStatistics> {
  const sums = new GroupSums(device, sequence, {
    moments: true,
    quantizerMoment: false,
    drift: false,
    positions: false,
    ...needs,
  });
  const upload = ({ values, channels }: Rows) =>
    float32(device, [values.length / channels, channels], values);
  sums.add({
    inputs: upload(quantized),
    ...(float === undefined ? {} : { reference: upload(float) }),
  });
  return sums.finish();
}

/** W x − Q x̂ (+ nothing) of every token, [tokens, out] float64. */
export function residuals(
  weight: ArrayLike<number>,
  quantized: ArrayLike<number>,
  x: Rows,
  xHat: Rows = x,
): Float64Array {
  const { channels } = x;
  const out = weight.length / channels;
  return Float64Array.from({ length: (x.values.length / channels) * out }, (_, index) => {
    const [token, row] = [Math.floor(index / out), index % out];
    let sum = 0;
    for (let j = 0; j < channels; j++) {
      sum += at(weight, row * channels + j) * at(x.values, token * channels + j);
      sum -= at(quantized, row * channels + j) * at(xHat.values, token * channels + j);
    }
    return sum;
  });
}

/** E‖e‖² over tokens. */
export function energyOf(rows: Float64Array, out: number): number {
  return (rows.reduce((sum, value) => sum + value * value, 0) * out) / rows.length;
}
