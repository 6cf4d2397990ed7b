// What leads from one stage of Swin (arXiv 2103.14030) to the next: each two by two tokens become one, their channels
// side by side, normed and brought down to twice the channels of one by a linear.

import type { Tensor } from '../device/index.js';
import { inverseOrder } from '../inverse-order.js';
import type { BlockContext, BlockGradient, BlockShape, Linear } from './model.js';
import { layerNorm, normTensors } from './norms.js';
import { arrange } from './vision-block.js';
import type { Weights } from './weights.js';

export const merging = {
  norm: 'norm',
  reduction: 'reduction',
  /** Of torch's layer norms where nobody says otherwise; config.json has no field for it. */
  eps: 1e-5,
} as const;

/** Of a grid of `side` tokens along each side. */
export function mergingShape(side: number, hiddenSize: number): BlockShape {
  const reduction = {
    name: merging.reduction,
    inChannels: 4 * hiddenSize,
    outChannels: 2 * hiddenSize,
    bias: false,
  };
  return {
    hiddenSize: 2 * hiddenSize,
    sequence: (side * side) / 4,
    linears: [reduction],
    blockTensors: normTensors(merging.norm),
    slots: {},
  };
}

/** Tokens of the grid four by four: first down, then to the right. */
export function mergingOrder(side: number): Int32Array {
  return Int32Array.from({ length: side * side }, (_, place) => {
    const [merged, part] = [Math.floor(place / 4), place % 4];
    const y = 2 * Math.floor(merged / (side / 2)) + (part % 2);
    const x = 2 * (merged % (side / 2)) + Math.floor(part / 2);
    return y * side + x;
  });
}

/** [n, channels] → [n / 4, 4·channels]. */
function gathered(x: Tensor, side: number, { device }: BlockContext): Tensor {
  return device.reshape(arrange(device, x, mergingOrder(side)), [x.rows / 4, 4 * x.cols]);
}

export function mergePatches(
  side: number,
  x: Tensor,
  weights: Weights,
  call: Linear,
  context: BlockContext,
): Tensor {
  const { device, operands } = context;
  const four = gathered(x, side, context);
  const { reduction, norm, eps } = merging;
  return call(reduction, layerNorm(device, four, weights, norm, eps, operands));
}

export function mergingGradient(
  side: number,
  x: Tensor,
  weights: Weights,
  weightOf: (linear: string) => Tensor,
  gradient: Tensor,
  context: BlockContext,
): BlockGradient {
  const { device } = context;
  const four = gathered(x, side, context);
  const onNormed = device.matmul(gradient, weightOf(merging.reduction), { layout: 'in_out' });
  const norm = weights.find(`${merging.norm}.weight`);
  const onFour = device.layerNormGradient(four, norm, onNormed, merging.eps);
  const tokens = device.reshape(onFour, x.shape);
  return {
    input: arrange(device, tokens, inverseOrder(mergingOrder(side))),
    linears: new Map([[merging.reduction, gradient]]),
  };
}
