// What quantized operands change about a product that ends in output channels: O is the float product, Ô that of the
// quantized operands, and the change of it
//   hessian  Σ (∂L/∂O)² (Ô − O)²   (arXiv 2111.12293) where the loss's gradient is known, or
//   cosine   1 − ⟨Ô, O⟩ / ‖Ô‖‖O‖   (EasyQuant, arXiv 2006.16669),
// of all channels together, for operands that they share, and of each channel by itself, for those that it has alone.

import { type Device, type Tensor, takeFloat64 } from '../../device/index.js';

/** O, and the loss's gradient with respect to it; shapes alike. */
export interface FloatProduct {
  readonly expected: Tensor;
  readonly gradient: Tensor | undefined;
}

interface Change {
  readonly total: number;
  /** By output channel. */
  readonly channels: Float64Array;
}

/** `actual` makes Ô; what it makes on the way is released. */
export async function changeOf(
  device: Device,
  { expected, gradient }: FloatProduct,
  actual: () => Tensor,
): Promise<Change> {
  if (gradient === undefined) {
    const [product, own, other] = (await channelSums(device, () => {
      const values = actual();
      const pairs = [[values, expected] as const, [values, values], [expected, expected]] as const;
      return pairs.map(([left, right]) => device.multiply(left, right));
    })) as [Float64Array, Float64Array, Float64Array];
    const channels = product.map((value, i) => angle(value, own[i] ?? 0, other[i] ?? 0));
    return { total: angle(total(product), total(own), total(other)), channels };
  }
  const [channels] = (await channelSums(device, () => {
    const error = device.multiply(device.subtract(actual(), expected), gradient);
    return [device.multiply(error, error)];
  })) as [Float64Array];
  return { total: total(channels), channels };
}

/** A product that is zero has no direction, and is as far off as can be. */
function angle(product: number, own: number, other: number): number {
  return own > 0 && other > 0 ? 1 - product / Math.sqrt(own * other) : 1;
}

function total(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** The sum of each column of each tensor. */
async function channelSums(device: Device, body: () => readonly Tensor[]): Promise<Float64Array[]> {
  const pending = device.scope(() =>
    body().map((tensor) => {
      const sum = device.zeros('float64', [tensor.cols]);
      device.channelSum(tensor, sum);
      return sum;
    }),
  );
  return takeFloat64(pending);
}
