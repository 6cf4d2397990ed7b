// What a gated MLP's last linear reads, where gate and up are two linears.

import type { Activation, Tensor } from '../device/index.js';
import type { BlockContext, Linear } from './model.js';

/** activation(gate x) · up x. */
export function gateTimesUp(
  call: Linear,
  names: { readonly gate: string; readonly up: string },
  x: Tensor,
  activation: Activation,
  { device, operands }: BlockContext,
): Tensor {
  const gate = call(names.gate, x, { activation });
  return device.multiply(gate, call(names.up, x), operands);
}
