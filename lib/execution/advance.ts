// Mini-batches past one block, each in its place. A block with experts is run up to its router first; while the routes of
// one mini-batch are on their way to the host, the one before is at work, so that the device never waits for them.

import type { Device, Tensor } from '../device/index.js';
import {
  type BatchContext,
  chosenExperts,
  type ExpertCounts,
  type Hold,
  readRoutes,
} from '../models/index.js';
import { disposeAll } from './hidden-states.js';
import { queueEach } from './queue-each.js';

/** A block as it is run here. */
export interface RunnableBlock {
  /** Where the MLP is experts. */
  readonly experts: ExpertCounts | undefined;
  /** One mini-batch; intermediate tensors are the caller's scope's. */
  run(x: Tensor, batch?: BatchContext): Tensor;
}

/** Replaces each of `states`, all on `device`, by what the block makes of it. Errors: those of the device. */
export async function advance(
  device: Device,
  block: RunnableBlock,
  states: Tensor[],
): Promise<void> {
  const { experts } = block;
  const move = (i: number, x: Tensor, batch?: BatchContext) => {
    states[i] = device.scope(() => block.run(x, batch));
    x.dispose();
  };
  if (experts === undefined) {
    return await queueEach(device, states.entries(), ([i, x]) => move(i, x));
  }
  let next: Reached | undefined;
  try {
    next = states[0] && toRouter(device, block, states[0]);
    for (const [i, x] of states.entries()) {
      using reached = next as Reached;
      const after = states[i + 1];
      next = after && toRouter(device, block, after);
      const routes = await readRoutes(reached.chosen, experts);
      move(i, x, { hold: reached.hold, route: () => routes });
    }
    await device.synchronize();
  } catch (error) {
    next?.[Symbol.dispose]();
    await device.synchronize().catch(() => undefined);
    throw error;
  }
}

interface Reached extends Disposable {
  readonly chosen: Tensor;
  /** Starts from what attention has added to. */
  readonly hold: Hold;
}

function toRouter(device: Device, block: RunnableBlock, x: Tensor): Reached {
  let middle: Tensor | undefined;
  const hold: Hold = (point, compute) => {
    if (point !== 'middle') return compute();
    middle ??= device.keep(compute());
    return middle;
  };
  try {
    const chosen = device.scope(() => chosenExperts((route) => block.run(x, { hold, route })));
    const dispose = () => disposeAll(middle === undefined ? [chosen] : [chosen, middle]);
    return { chosen, hold, [Symbol.dispose]: dispose };
  } catch (error) {
    middle?.dispose();
    throw error;
  }
}
