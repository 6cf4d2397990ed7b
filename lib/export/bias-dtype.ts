// In what a linear's bias is stored: fitted biases are rounded to it once, before errors are told.

import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { DType } from '../device/index.js';

/**
 * Of a linear by its full name, whose weight is executed in `weight`. The source's, unless that is float32: then the bias is
 * not rounded either.
 */
export function biasDtype({ tensors }: Checkpoint, name: string, weight: DType): DType {
  if (weight === 'float32') return weight;
  return (tensors.get(`${name}.bias`)?.dtype as DType | undefined) ?? weight;
}
