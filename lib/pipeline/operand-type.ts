// What a run's blocks make for linears alone to read. bfloat16 products round it in any case, so it is held as they read it:
// in half the memory, without a digit lost to the linear. Quantizers of activations read it before it is rounded.

import type { OperandType } from '../device/index.js';
import type { ResolvedOptions } from './options.js';

export function operandTypeOf({ precision, activationBits }: ResolvedOptions): OperandType {
  return activationBits > 0 ? 'float32' : precision;
}
