// What is still to be written of a file whose tensors are known beforehand: each has a place that waits for its data, which
// comes once, in whatever order tensors are ready.

import { BallastError } from '../../errors.js';

export class UnwrittenTensors<Place extends { readonly bytes: number }> {
  readonly #missing: Map<string, Place>;

  constructor(places: Iterable<readonly [string, Place]>) {
    this.#missing = new Map(places);
  }

  /** Has `write` put the data in its place; it is missing again if that fails. Errors: ERR_ARGUMENT (name, size, second time). */
  async write(
    name: string,
    data: Uint8Array,
    write: (place: Place) => Promise<void>,
  ): Promise<void> {
    const place = this.#missing.get(name);
    if (place === undefined) {
      throw new BallastError(
        'ERR_ARGUMENT',
        `Expected a planned tensor that is not yet written but received '${name}'.`,
      );
    }
    if (data.byteLength !== place.bytes) {
      throw new BallastError(
        'ERR_ARGUMENT',
        `Expected ${place.bytes} bytes for tensor '${name}' but received ${data.byteLength}.`,
      );
    }
    this.#missing.delete(name);
    try {
      await write(place);
    } catch (error) {
      this.#missing.set(name, place);
      throw error;
    }
  }

  /** Error ERR_ARGUMENT for a tensor that was never written. */
  expectAllWritten(): void {
    const [name] = this.#missing.keys();
    if (name === undefined) return;
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected every planned tensor to be written but '${name}' and ${this.#missing.size - 1} more are not.`,
    );
  }
}
