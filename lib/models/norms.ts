// Norms by the names of their tensors.

import type { Device, Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import type { FoldSlot } from './model.js';
import type { Weights } from './weights.js';

/** `<name>.weight` and `<name>.bias`; checkpoints of norms without affine parameters have neither. */
export function layerNorm(
  device: Device,
  x: Tensor,
  weights: Weights,
  name: string,
  eps: number,
): Tensor {
  return device.layerNorm(x, weights.find(`${name}.weight`), weights.find(`${name}.bias`), eps);
}

export interface RmsNorm {
  readonly eps: number;
  /** What is added to the weight. */
  readonly offset: number;
}

/** Over rows of `size` channels: where x is wider, one norm for each head. */
export function rmsNorm(
  device: Device,
  x: Tensor,
  weights: Weights,
  name: string,
  size: number,
  { eps, offset }: RmsNorm,
): Tensor {
  const weight = weights.get(`${name}.weight`);
  // A shorter weight would pass as a norm of parts of a row.
  if (weight.elements !== size) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected ${size} values for ${name}.weight as config.json says but the checkpoint holds ${weight.elements}.`,
    );
  }
  return device.rmsNorm(x, weight, eps, offset);
}

/** The tensors of layer norms. */
export function normTensors(...names: readonly string[]): string[] {
  return names.flatMap((name) => [`${name}.weight`, `${name}.bias`]);
}

/** The slot that a layer norm's bias is, where the block's tensors have it. */
export function normSlot(blockTensors: readonly string[], name: string): FoldSlot {
  const tensor = `${name}.bias`;
  if (blockTensors.includes(tensor)) return { kind: 'norm', tensor };
  return { kind: 'none', reason: `${name}, whose output it is, has no bias to fold it into.` };
}
