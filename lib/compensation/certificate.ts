// The exact calibration error of one quantized linear, from statistics alone (no forward pass):
//   without bias  tr(ΔW G ΔWᵀ) = tr(ΔW Σ ΔWᵀ) + ‖ΔW μ‖²,   with bias b  tr(ΔW Σ ΔWᵀ) + ‖ΔW μ − b‖²,
// both relative to the output's energy tr(W G Wᵀ). ΔW = W − Q [out, in]; Σ = G − μμᵀ.

import type { Device, Tensor } from '../device/index.js';
import type { Statistics } from '../statistics/index.js';

export interface Certificate {
  /** tr(ΔW G ΔWᵀ) / tr(W G Wᵀ). */
  readonly error: number;
  /** The same with the bias. */
  readonly errorWithBias: number;
  /** ‖b‖² / tr(W G Wᵀ). */
  readonly biasEnergy: number;
  /** tr(W G Wᵀ), per token. */
  readonly outputEnergy: number;
}

/** The sums that a certificate is made of; `statistics` must hold a moment. */
export async function certify(
  device: Device,
  weight: Tensor,
  quantized: Tensor,
  statistics: Statistics,
  bias: Float64Array | undefined,
): Promise<Certificate> {
  const covariance = statistics.covariance;
  const parts = device.scope(() => {
    const w = device.cast(weight, 'float32');
    const delta = device.subtract(w, device.cast(quantized, 'float32'));
    return [
      device.quadraticForm(w, covariance),
      device.matvec(w, statistics.mean),
      device.quadraticForm(delta, covariance),
      device.matvec(delta, statistics.mean),
    ];
  });
  try {
    const [outputVariance, outputMean, variance, mean] = (await Promise.all(
      parts.map((part) => part.readFloat64()),
    )) as [Float64Array, Float64Array, Float64Array, Float64Array];
    const outputEnergy = total(outputVariance) + squares(outputMean);
    const residual = bias === undefined ? mean : mean.map((value, i) => value - (bias[i] ?? 0));
    // A constant zero output has no energy; its errors are then absolute.
    const unit = outputEnergy > 0 ? outputEnergy : 1;
    return {
      error: (total(variance) + squares(mean)) / unit,
      errorWithBias: (total(variance) + squares(residual)) / unit,
      biasEnergy: bias === undefined ? 0 : squares(bias) / unit,
      outputEnergy,
    };
  } finally {
    for (const part of parts) part.dispose();
  }
}

function total(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function squares(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}
