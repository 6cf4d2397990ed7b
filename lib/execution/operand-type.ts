// What blocks make for linears alone to read. bfloat16 products round it in any case, so it is held as they read it: in half
// the memory, without a digit lost to the linear. Quantizers of activations read it before it is rounded.

import type { OperandType, Precision } from '../device/index.js';

export function operandTypeOf(precision: Precision, quantizesActivations: boolean): OperandType {
  return quantizesActivations ? 'float32' : precision;
}
