// What one path has reached inside a block, for each mini-batch: later passes over the same block start there and not at
// its beginning. Only what can no longer change is held: on the quantized path, what quantized linears alone have made.
// One tensor a mini-batch, the furthest; it is no wider than the hidden states, so a pass needs no more memory than
// moving the states past the block does.

import type { Tensor } from '../device/index.js';
import type { Hold, HoldPoint, Linear } from '../models/index.js';
import type { BlockRun } from './observe.js';

interface Held {
  readonly point: HoldPoint;
  readonly tensor: Tensor;
}

export class HeldStates implements Disposable {
  /** Whether what this linear makes is what it will make in every later pass. */
  readonly #isFinal: (linear: string) => boolean;
  readonly #held = new Map<number, Held>();

  constructor(isFinal: (linear: string) => boolean) {
    this.#isFinal = isFinal;
  }

  /** Runs mini-batch `batch`, x at the block's beginning, from where it is held; with `keep` holds what it reaches. */
  run(batch: number, x: Tensor, run: BlockRun, linear: Linear, keep: boolean): Tensor {
    let final = keep;
    const watched: Linear = (name, input, options) => {
      final &&= this.#isFinal(name);
      return linear(name, input, options);
    };
    const hold: Hold = (point, compute) => {
      const held = this.#held.get(batch);
      if (held?.point === point) return held.tensor;
      const tensor = compute();
      if (final && tensor.cols <= x.cols) this.#replace(batch, { point, tensor });
      return tensor;
    };
    return run(x, watched, hold);
  }

  /** Lets go of a mini-batch. */
  release(batch: number): void {
    this.#held.get(batch)?.tensor.dispose();
    this.#held.delete(batch);
  }

  [Symbol.dispose](): void {
    for (const batch of this.#held.keys()) this.release(batch);
  }

  #replace(batch: number, held: Held): void {
    this.release(batch);
    this.#held.set(batch, { ...held, tensor: held.tensor.device.keep(held.tensor) });
  }
}
