// The residual of an output that is no linear's (a block's, or the final hidden states), summed over mini-batches that
// both paths ran: e = y − ŷ, y of the float path and ŷ of the quantized one. Its mean is the bias that lowers E‖e‖²
// most, as for a linear (arXiv 2404.01892).

import type { Device, Tensor } from '../device/index.js';
import type { Fit } from './bias.js';
import { sum } from './residual.js';

export interface SummedOutputs {
  readonly fit: Fit;
  /** E‖y‖² per token. */
  readonly outputEnergy: number;
  /** What each value of the mean is a mean of. */
  readonly observations: number;
}

export class OutputSums implements Disposable {
  readonly #device: Device;
  /** Tokens of a sequence where means are per position, else 1. */
  readonly #positions: number;
  #tokens = 0;
  #residual: Tensor | undefined;
  #squares: Tensor | undefined;
  #energy: Tensor | undefined;

  constructor(device: Device, positions: number) {
    this.#device = device;
    this.#positions = positions;
  }

  /** Adds y and ŷ [n, c] float32, n whole sequences where means are per position. Queued. */
  add(y: Tensor, received: Tensor): void {
    const device = this.#device;
    const channels = y.cols;
    const width = this.#positions * channels;
    this.#tokens += y.rows;
    this.#residual ??= device.keep(device.zeros('float64', [width]));
    this.#squares ??= device.keep(device.zeros('float64', [channels]));
    this.#energy ??= device.keep(device.zeros('float64', [channels]));
    const e = device.subtract(y, received);
    device.channelSum(device.reshape(e, [e.elements / width, width]), this.#residual);
    device.channelSum(device.multiply(e, e), this.#squares);
    device.channelSum(device.multiply(y, y), this.#energy);
  }

  /** At least one mini-batch must have been added. */
  async finish(): Promise<SummedOutputs> {
    if (!this.#residual || !this.#squares || !this.#energy) {
      throw new RangeError('Sums of no outputs.');
    }
    const positions = this.#positions;
    const observations = this.#tokens / positions;
    const residual = await this.#residual.readFloat64();
    return {
      fit: {
        error: sum(await this.#squares.readFloat64()) / this.#tokens,
        mean: residual.map((value) => value / observations),
        positions,
      },
      outputEnergy: sum(await this.#energy.readFloat64()) / this.#tokens,
      observations,
    };
  }

  dispose(): void {
    this.#residual?.dispose();
    this.#squares?.dispose();
    this.#energy?.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
