// What quantizing a linear leaves: the residual of its output, described exactly by statistics of its inputs, with
// no forward pass (docs/numerics.md, "Bias compensation"). Legend: W, Q [out, in], ΔW = W − Q; x̂ the inputs that Q sees, x those that the
// target W x sees, D = x − x̂ (zero where the target is the layer itself on x̂); e = W x − Q x̂ = ΔW x̂ + W D.
//   mean      m = ΔW μ̂ + W E[D]
//   variance  v = tr(ΔW Σ̂ ΔWᵀ) + 2 tr(W Cov(D, x̂) ΔWᵀ) + tr(W Cov(D) Wᵀ)
// so E‖e‖² = v + ‖m‖², and with a bias b it is v + ‖m − b‖²: least, by ‖m‖² less, where b = m (arXiv 2404.01892).
// Statistics without moments tell m alone; v, which no bias changes, is then left out of every error.

import { type Device, type Tensor, takeFloat64 } from '../device/index.js';
import type { GroupStatistics, Statistics } from '../statistics/index.js';

export interface Residual {
  /** v, summed over output channels; 0 where statistics hold no moments. */
  readonly variance: number;
  /** m [out]. */
  readonly mean: Float64Array;
}

/** The residual's moments over the tokens of `statistics`. */
export async function residualOf(
  device: Device,
  weight: Tensor,
  quantized: Tensor,
  { inputs, drift }: GroupStatistics,
): Promise<Residual> {
  const { variances, means } = device.scope(() => {
    const w = device.cast(weight, 'float32');
    const delta = device.subtract(w, device.cast(quantized, 'float32'));
    const means = [device.matvec(delta, inputs.mean)];
    if (drift !== undefined) means.push(device.matvec(w, drift.difference.mean));
    if (!inputs.hasMoment) return { variances: [], means };
    const variances = [device.quadraticForm(delta, inputs.covariance)];
    if (drift !== undefined) {
      const cross = device.quadraticForm(w, drift.cross(true), { other: delta });
      variances.push(cross, cross, device.quadraticForm(w, drift.difference.covariance));
    }
    return { variances, means };
  });
  const [read, readMeans] = await Promise.all([takeFloat64(variances), takeFloat64(means)]);
  const mean = new Float64Array(weight.rows);
  for (const part of readMeans) {
    for (const [channel, value] of part.entries()) mean[channel] = (mean[channel] ?? 0) + value;
  }
  return { variance: sum(read.map(sum)), mean };
}

/** m per position of the sequence, [sequence, out] float32. */
export async function positionResidual(
  device: Device,
  weight: Tensor,
  quantized: Tensor,
  { inputs, drift }: GroupStatistics,
): Promise<Float32Array> {
  using means = device.scope(() => {
    const w = device.cast(weight, 'float32');
    const delta = device.subtract(w, device.cast(quantized, 'float32'));
    const own = device.matmul(present(inputs.positionMeans), delta);
    if (drift === undefined) return own;
    return device.add(own, device.matmul(present(drift.difference.positionMeans), w));
  });
  return means.readFloat32();
}

/** What the linear makes of each position's mean, [sequence, out] float32. */
export async function positionOutputs(
  device: Device,
  weight: Tensor,
  { positionMeans }: Statistics,
): Promise<Float32Array> {
  using outputs = device.scope(() =>
    device.matmul(present(positionMeans), device.cast(weight, 'float32')),
  );
  return await outputs.readFloat32();
}

/**
 * tr(W G Wᵀ), the energy of the layer's output that errors are relative to, in the device's precision: a sum without
 * cancellation, in which what single products are rounded by is lost.
 */
export async function outputEnergy(
  device: Device,
  weight: Tensor,
  { inputs }: GroupStatistics,
): Promise<number> {
  const { variances, means } = device.scope(() => {
    const w = device.cast(weight, 'float32');
    return {
      variances: inputs.hasMoment
        ? [device.quadraticForm(w, inputs.covariance, { precision: device.precision })]
        : [],
      means: [device.matvec(w, inputs.mean)],
    };
  });
  const [variance, mean] = await Promise.all([takeFloat64(variances), takeFloat64(means)]);
  return sum(variance.map(sum)) + sum(mean.map(squares));
}

function present(means: Tensor | undefined): Tensor {
  if (means === undefined) throw new RangeError('Position biases need means per position.');
  return means;
}

export function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

export function squares(values: Float64Array | Float32Array): number {
  let total = 0;
  for (const value of values) total += value * value;
  return total;
}
