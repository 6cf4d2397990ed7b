// Sums over tokens on a device, [c] float64, and what is made of them on the host.

import type { Device, Tensor } from '../device/index.js';

/** Tokens and their sum, [c] float64, once there are any. */
export interface TokenSum {
  count: number;
  sum: Tensor | undefined;
}

/** The mean; of no tokens, 0. */
export function divided(sum: Float64Array, count: number): Float64Array {
  return sum.map((value) => value / Math.max(count, 1));
}

/** Of one sum or two. */
export function totalOf(...sums: readonly (Float64Array | undefined)[]): Float64Array {
  const [first, second] = sums.filter((sum) => sum !== undefined);
  if (first === undefined) throw new RangeError('Statistics of no tokens.');
  return second === undefined ? first : added(first, second);
}

function added(own: Float64Array, other: Float64Array): Float64Array {
  return own.map((value, i) => value + (other[i] ?? 0));
}

/** Of another device. */
export async function addTokens(device: Device, own: TokenSum, other: TokenSum): Promise<void> {
  own.count += other.count;
  if (other.sum === undefined) return;
  const sum = await other.sum.readFloat64();
  own.sum =
    own.sum === undefined
      ? device.upload('float64', [sum.length], sum)
      : await plus(device, own.sum, sum);
}

/** A sum [c] float64 and what is added to it; takes the sum's place. */
export async function plus(
  device: Device,
  own: Tensor | undefined,
  other: Float64Array,
): Promise<Tensor> {
  if (own === undefined) throw new RangeError('Sums of no tokens to add to.');
  const values = await own.readFloat64();
  own.dispose();
  return device.upload('float64', own.shape, added(values, other));
}
