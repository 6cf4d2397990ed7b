// Points of a block that a later run of it can start from: who executes the block says what is there, from a run before,
// or has it computed. A block names three: what attention gives; the hidden states that attention has added to; and what
// the MLP's last linear reads, whose residual those states are, of experts each its own.

import type { Tensor } from '../device/index.js';
import type { BlockContext, HoldPoint } from './model.js';

export function hold(context: BlockContext, point: HoldPoint, compute: () => Tensor): Tensor {
  return context.hold === undefined ? compute() : context.hold(point, compute);
}
