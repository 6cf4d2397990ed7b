// Which tensors a stretch of straight-line code has made, so that they can be disposed together.

import { Tensor } from './tensor.js';

function* tensorsOf(value: unknown): Generator<Tensor> {
  if (value instanceof Tensor) {
    yield value;
  } else if (Array.isArray(value) || value instanceof Map) {
    for (const item of value.values()) yield* tensorsOf(item);
  } else if (
    value !== null &&
    typeof value === 'object' &&
    Object.getPrototypeOf(value) === Object.prototype
  ) {
    for (const item of Object.values(value)) yield* tensorsOf(item);
  }
}

export class Scopes {
  readonly #stack: Set<Tensor>[] = [];

  track(tensor: Tensor): Tensor {
    this.#stack.at(-1)?.add(tensor);
    return tensor;
  }

  /** Takes a tensor out of every scope: its owner disposes it. */
  keep(tensor: Tensor): Tensor {
    for (const made of this.#stack) made.delete(tensor);
    return tensor;
  }

  /** Disposes a kept tensor when the innermost scope ends; at once where there is none. */
  release(tensor: Tensor): void {
    const innermost = this.#stack.at(-1);
    if (innermost === undefined) tensor.dispose();
    else innermost.add(tensor);
  }

  run<T>(body: () => T): T {
    const made = new Set<Tensor>();
    this.#stack.push(made);
    try {
      const result = body();
      const outer = this.#stack.at(-2);
      for (const kept of tensorsOf(result)) {
        if (made.delete(kept)) outer?.add(kept);
      }
      return result;
    } finally {
      this.#stack.pop();
      for (const tensor of made) tensor.dispose();
    }
  }
}
