// Which experts each token goes to (arXiv 1701.06538): the device chooses, but how many tokens an expert gets decides the
// shapes of all that it computes, so whoever executes a block reads the choice back first. A block with experts is run
// twice: up to its router, and then from there, with routes.

import type { Tensor } from '../device/index.js';
import type { Route } from './model.js';

/** Of one mini-batch of n tokens, each of which goes to k experts. */
export interface Routes {
  /** [n, k], experts of each token. */
  readonly chosen: Int32Array;
  /** For each expert its slots, ascending: slot t·k + j is the j-th choice of token t. */
  readonly slots: readonly Int32Array[];
  /** And their tokens. */
  readonly tokens: readonly Int32Array[];
}

export function routesOf(chosen: Int32Array, perToken: number, experts: number): Routes {
  const counts = new Int32Array(experts);
  for (const expert of chosen) counts[expert] = (counts[expert] ?? 0) + 1;
  const slots = Array.from(counts, (count) => new Int32Array(count));
  const filled = new Int32Array(experts);
  for (const [slot, expert] of chosen.entries()) {
    const at = filled[expert] ?? 0;
    filled[expert] = at + 1;
    (slots[expert] as Int32Array)[at] = slot;
  }
  const tokens = slots.map((own) => own.map((slot) => Math.floor(slot / perToken)));
  return { chosen, slots, tokens };
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

/** Of `chosenExperts`, which it disposes; `count` experts there are. */
export async function readRoutes(
  chosen: Tensor,
  { count }: { readonly count: number },
): Promise<Routes> {
  using read = chosen;
  return routesOf(await read.readInt32(), read.cols, count);
}
