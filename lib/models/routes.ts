// Which experts each token goes to (arXiv 1701.06538): the device chooses, but how many tokens an expert gets decides the
// shapes of all that it computes, so whoever executes a block reads the choice back first. A block with experts is run
// twice: up to its router, and then from there, with routes.

import type { Tensor } from '../device/index.js';
import type { ExpertCounts, Route } from './model.js';

/** Of one mini-batch of n tokens, each of which goes to k experts. */
export interface Routes {
  /** [n·k], the experts of each token: slot t·k + j is the j-th choice of token t. */
  readonly chosen: Int32Array;
  /** The same slots expert after expert, and their tokens. */
  readonly slots: Int32Array;
  readonly tokens: Int32Array;
  /** Where each expert's begin there, and where the last one's end. */
  readonly starts: Int32Array;
}

export function routesOf(chosen: Int32Array, perToken: number, experts: number): Routes {
  const starts = new Int32Array(experts + 1);
  for (const expert of chosen) starts[expert + 1] = (starts[expert + 1] ?? 0) + 1;
  for (let i = 1; i <= experts; i++) starts[i] = (starts[i] ?? 0) + (starts[i - 1] ?? 0);
  const next = starts.slice();
  const slots = new Int32Array(chosen.length);
  for (const [slot, expert] of chosen.entries()) {
    const at = next[expert] ?? 0;
    next[expert] = at + 1;
    slots[at] = slot;
  }
  return { chosen, slots, tokens: slots.map((slot) => Math.floor(slot / perToken)), starts };
}

/** Leaves the block: what comes after the router needs routes. */
class RouterReached extends Error {
  constructor(readonly chosen: Tensor) {
    super('The router has chosen.');
  }
}

/** Runs a block with experts up to its router: the experts that it chooses, [tokens, k] int32. */
export function chosenExperts(run: (route: Route) => void): Tensor {
  try {
    run((choose) => {
      throw new RouterReached(choose());
    });
  } catch (error) {
    if (error instanceof RouterReached) return error.chosen;
    throw error;
  }
  throw new RangeError('A block with experts came to no router.');
}

/** Of `chosenExperts`. */
export async function readRoutes(chosen: Tensor, { count }: ExpertCounts): Promise<Routes> {
  return routesOf(await chosen.readInt32(), chosen.cols, count);
}
