// Bias compensation in closed form (Gong et al., arXiv 2404.01892): the bias that minimises
// E‖(Wx + c) − (Qx̂ + c + b)‖² is b = E[Wx − Qx̂] = W μ − Q μ̂, no second forward pass needed.
// Legend: W, Q [out, in]; μ = E[x] of the inputs that the float weight sees, μ̂ of those the quantized one sees.

import type { Device, Tensor } from '../device/index.js';
import type { Statistics } from '../statistics/index.js';

export interface FitInput {
  readonly device: Device;
  /** W, of a weight dtype. */
  readonly weight: Tensor;
  /** Q, of a weight dtype. */
  readonly quantized: Tensor;
  /** Of x and of x̂; the same object where both see the same inputs. */
  readonly float: Statistics;
  readonly quantizedInputs: Statistics;
}

/** b [out] float64. */
export async function fitChannelBias(input: FitInput): Promise<Float64Array> {
  const { device, weight, quantized, float, quantizedInputs } = input;
  const [expected, received] = device.scope(() => [
    device.matvec(weight, float.mean),
    device.matvec(quantized, quantizedInputs.mean),
  ]) as [Tensor, Tensor];
  using expectedMean = expected;
  using receivedMean = received;
  const target = await expectedMean.readFloat64();
  const actual = await receivedMean.readFloat64();
  return target.map((value, channel) => value - (actual[channel] ?? 0));
}

/** b_t [sequence, out] float32 for every position t of the sequence: W μ_t − Q μ̂_t. */
export function fitPositionBias(input: FitInput): Tensor {
  const { device, weight, quantized, float, quantizedInputs } = input;
  if (float.positionMeans === undefined || quantizedInputs.positionMeans === undefined) {
    throw new RangeError('Position biases need means per position.');
  }
  const means = float.positionMeans;
  const quantizedMeans = quantizedInputs.positionMeans;
  return device.scope(() =>
    device.subtract(device.matmul(means, weight), device.matmul(quantizedMeans, quantized)),
  );
}
