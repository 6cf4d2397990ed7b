// What one path has reached inside a block, for each mini-batch: later passes over the same block start there and not at
// its beginning. Only what can no longer change is held: on the quantized path, what quantized linears alone have made.
// Of the points that hidden states pass through the furthest is held, no wider than they are, so that a pass needs no more
// memory than moving the states past the block does. What is wider, and what the MLP's last linear reads, which stands
// beside the states, is held where memory is to spare, and computed again where not.

import type { Tensor } from '../../device/index.js';
import type { Hold, HoldPoint, Linear, Route } from '../../models/index.js';
import type { SpareMemory } from '../memory/spare-memory.js';
import type { RouteOf } from './find-routes.js';
import type { PathRunner } from './observe.js';

type Held = Map<HoldPoint, { readonly tensor: Tensor; readonly spare: boolean }>;

interface HeldRunner extends Pick<PathRunner, 'run' | 'linear'> {
  /** Linears that are not executed, so that nothing behind them can be held. */
  readonly unread?: ReadonlyMap<string, unknown> | undefined;
  /** Where not all experts are run. */
  readonly experts?: ReadonlySet<string> | undefined;
}

export class HeldStates implements Disposable {
  /** Whether what this linear makes is what it will make in every later pass. */
  readonly #isFinal: (linear: string) => boolean;
  readonly #spare: SpareMemory;
  readonly #routeOf: RouteOf;
  readonly #held = new Map<number, Held>();

  constructor(isFinal: (linear: string) => boolean, spare: SpareMemory, routeOf: RouteOf) {
    this.#isFinal = isFinal;
    this.#spare = spare;
    this.#routeOf = routeOf;
  }

  /**
   * Runs mini-batch `batch`, x at the block's beginning, from where it is held; with `keep` holds what it reaches. Its
   * tokens go to the experts that they go to in every pass, unless `route` says otherwise.
   */
  run(
    batch: number,
    x: Tensor,
    { run, linear, unread, experts }: HeldRunner,
    keep: boolean,
    route: Route | undefined = this.#routeOf(batch),
  ): Tensor {
    let final = keep;
    const watched: Linear = (name, input, options) => {
      final &&= this.#isFinal(name) && unread?.has(name) !== true;
      return linear(name, input, options);
    };
    const hold: Hold = (point, compute) => {
      const held = this.#held.get(batch)?.get(point);
      if (held !== undefined) return held.tensor;
      const tensor = compute();
      if (final) this.#add(batch, x, point, tensor);
      return tensor;
    };
    return run(x, watched, { hold, route, experts });
  }

  /** Lets go of a mini-batch. */
  release(batch: number): void {
    for (const point of this.#held.get(batch)?.keys() ?? []) this.#drop(batch, point);
    this.#held.delete(batch);
  }

  [Symbol.dispose](): void {
    for (const batch of this.#held.keys()) this.release(batch);
  }

  #add(batch: number, x: Tensor, point: HoldPoint, tensor: Tensor): void {
    const isState = point === 'attended' || point === 'middle';
    const spare = !isState || tensor.cols > x.cols;
    if (spare && !this.#spare.take(tensor)) return;
    // Nothing after the middle reads what attention gives.
    if (point === 'middle') this.#drop(batch, 'attended');
    const held: Held = this.#held.get(batch) ?? new Map();
    this.#held.set(batch, held.set(point, { tensor: tensor.device.keep(tensor), spare }));
  }

  #drop(batch: number, point: HoldPoint): void {
    const held = this.#held.get(batch)?.get(point);
    if (held === undefined) return;
    this.#held.get(batch)?.delete(point);
    if (held.spare) this.#spare.give(held.tensor);
    // The pass at work may have read it.
    held.tensor.device.release(held.tensor);
  }
}
