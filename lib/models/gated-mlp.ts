// What a gated MLP's last linear reads, where gate and up are two linears, or one.

import type { Activation, Tensor } from '../device/index.js';
import { splitColumns } from './fused-projection.js';
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

/** The same of what one linear gives: gates, and as many channels behind them. */
export function gateTimesUpOf(
  both: Tensor,
  activation: Activation,
  { device, operands }: BlockContext,
): Tensor {
  const [gate, up] = splitColumns(device, both, [both.cols / 2, both.cols / 2]);
  return device.multiply(device.activate(activation, gate), up, operands);
}
