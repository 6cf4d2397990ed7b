// Which experts the tokens of each mini-batch go to in a block, found before any expert is quantized. Both paths keep to it
// while they are compared, whatever their own routers would say: an error is told between what the same expert makes of the
// same token, and a token at the edge between two experts is no error of either. How much a token weighs what its experts
// give is each path's own.

import type { Device, Tensor } from '../../device/index.js';
import { disposeAll, mapBatches } from '../../execution/index.js';
import {
  chosenExperts,
  type ExpertCounts,
  type Route,
  type Routes,
  readRoutes,
} from '../../models/index.js';
import type { Run } from '../run.js';
import type { ObservedPath } from './observe.js';

/** What a mini-batch is routed by, once it has been found. */
export type RouteOf = (batch: number) => Route | undefined;

/**
 * One entry a mini-batch, by the router on this path. With `keep`, what it reaches is held: later passes are not to observe
 * what comes before.
 */
export async function findRoutes(
  { throwIfAborted }: Run,
  experts: ExpertCounts,
  path: ObservedPath,
  keep: boolean,
): Promise<readonly Routes[]> {
  const { states, on, held } = path;
  const reach = (batch: number, device: Device) =>
    chosenExperts((route) => held.run(batch, states[batch] as Tensor, on(device), keep, route));
  const places = states.map(({ device }) => device);
  const chosen = await mapBatches(places, reach, throwIfAborted);
  try {
    return await Promise.all(chosen.map((tensor) => readRoutes(tensor, experts)));
  } finally {
    disposeAll(chosen);
  }
}
