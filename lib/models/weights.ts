// The tensors of one block (or of the embedding, or the head) on a device, by name.

import type { Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';

export class Weights implements Disposable {
  readonly #tensors: Map<string, Tensor>;

  constructor(tensors: Iterable<readonly [string, Tensor]>) {
    this.#tensors = new Map(tensors);
  }

  get(name: string): Tensor {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined) {
      throw new BallastError('ERR_CHECKPOINT', `The checkpoint has no tensor ${name}.`);
    }
    return tensor;
  }

  find(name: string): Tensor | undefined {
    return this.#tensors.get(name);
  }

  dispose(): void {
    for (const tensor of this.#tensors.values()) tensor.dispose();
    this.#tensors.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
