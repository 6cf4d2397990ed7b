// The residual of an output that is no linear's (a block's, or the final hidden states), summed over mini-batches that
// both paths ran: e = y − ŷ, y of the float path and ŷ of the quantized one. Its mean is the bias that lowers E‖e‖²
// most, as for a linear (arXiv 2404.01892).

import type { Device, Tensor } from '../device/index.js';
import type { Fit } from './bias.js';
import { sum } from './residual.js';

interface SummedOutputs {
  readonly fit: Fit;
  /** E‖y‖² per token. */
  readonly outputEnergy: number;
  /** What each value of the mean is a mean of. */
  readonly observations: number;
}

/** Σe, by position where means are, Σ‖e‖² and Σ‖y‖². */
interface ReadSums {
  readonly residual: Float64Array;
  readonly squares: number;
  readonly energy: number;
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

  get tokens(): number {
    return this.#tokens;
  }

  get positions(): number {
    return this.#positions;
  }

  /** At least one mini-batch must have been added. */
  async read(): Promise<ReadSums> {
    if (!this.#residual || !this.#squares || !this.#energy) {
      throw new RangeError('Sums of no outputs.');
    }
    return {
      residual: await this.#residual.readFloat64(),
      squares: sum(await this.#squares.readFloat64()),
      energy: sum(await this.#energy.readFloat64()),
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

/** Of several devices together, in their order. To at least one of them a mini-batch must have been added. */
export async function summedOutputs(parts: readonly OutputSums[]): Promise<SummedOutputs> {
  const summed = parts.filter(({ tokens }) => tokens > 0);
  const positions = parts[0]?.positions ?? 1;
  const tokens = sum(summed.map((part) => part.tokens));
  const read: ReadSums[] = [];
  for (const part of summed) read.push(await part.read());
  const observations = tokens / positions;
  const mean = (read[0]?.residual ?? new Float64Array()).map(
    (_, i) => sum(read.map(({ residual }) => residual[i] ?? 0)) / observations,
  );
  return {
    fit: { error: sum(read.map(({ squares }) => squares)) / tokens, mean, positions },
    outputEnergy: sum(read.map(({ energy }) => energy)) / tokens,
    observations,
  };
}
