// How far the quantized path has moved from the float path at one input group: D = x − x̂ of the same tokens.
// Summing D itself, and not x and x̂ apart, keeps its digits where it is small.
// Legend: E[DDᵀ] and E[Dx̂ᵀ], or their centred forms Cov(D) and Cov(D, x̂), all [c, c].

import { allOrNothing } from '../all-or-nothing.js';
import type { Device, Tensor } from '../device/index.js';
import { type Statistics, type StatisticsNeeds, StatisticsSums } from './statistics.js';

export class Drift implements Disposable {
  readonly #device: Device;
  readonly #inputs: Statistics;
  readonly #crossSum: Tensor | undefined;
  readonly #cross = new Map<boolean, Tensor>();

  constructor(
    device: Device,
    /** Of D. */
    readonly difference: Statistics,
    /** Of x̂. */
    inputs: Statistics,
    crossSum: Tensor | undefined,
  ) {
    this.#device = device;
    this.#inputs = inputs;
    this.#crossSum = crossSum;
  }

  /** Cov(D, x̂) or E[Dx̂ᵀ], formed when first asked for. */
  cross(centred: boolean): Tensor {
    const formed = this.#cross.get(centred);
    if (formed !== undefined) return formed;
    if (this.#crossSum === undefined) throw new RangeError('This drift holds no moments.');
    const device = this.#device;
    const { count, mean } = this.difference.ofMoment;
    const options = { count, centred, symmetric: false };
    const moment = device.keep(
      device.moment(this.#crossSum, mean, this.#inputs.ofMoment.mean, options),
    );
    this.#cross.set(centred, moment);
    return moment;
  }

  /** The same on another device, where `inputs` are. */
  copyTo(device: Device, inputs: Statistics): Promise<Drift> {
    return allOrNothing(async (own) => {
      const difference = await own(this.difference.copyTo(device));
      return new Drift(device, difference, inputs, await this.#crossSum?.copyTo(device));
    });
  }

  dispose(): void {
    this.difference.dispose();
    this.#crossSum?.dispose();
    for (const moment of this.#cross.values()) moment.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

export class DriftSums implements Disposable {
  readonly #device: Device;
  readonly #needs: StatisticsNeeds;
  readonly #difference: StatisticsSums;
  #cross: Tensor | undefined;

  /** The moment that is needed or not is both D's and that of D and x̂. */
  constructor(device: Device, sequence: number, needs: StatisticsNeeds) {
    this.#device = device;
    this.#needs = needs;
    this.#difference = new StatisticsSums(device, sequence, needs);
  }

  /** Adds the same tokens of both paths, [n, c]; moments as in `StatisticsSums`. Queued. */
  add(float: Tensor, quantized: Tensor, withMoment = true): void {
    const device = this.#device;
    const channels = float.cols;
    device.scope(() => {
      const wide = (x: Tensor) => (x.dtype === 'float32' ? x : device.cast(x, 'float32'));
      const difference = device.subtract(wide(float), wide(quantized));
      this.#difference.add(difference, withMoment);
      if (!this.#needs.moment || !withMoment) return undefined;
      this.#cross ??= device.keep(device.zeros('float32', [channels, channels]));
      device.secondMoment(difference, this.#cross, { y: quantized });
      return undefined;
    });
  }

  /** Adds what was summed on another device, which may be nothing. */
  async merge(other: DriftSums): Promise<void> {
    const device = this.#device;
    await this.#difference.merge(other.#difference);
    const own = this.#cross;
    if (own === undefined || other.#cross === undefined) return;
    using received = await other.#cross.copyTo(device);
    this.#cross = device.add(own, received);
    own.dispose();
  }

  async finish(inputs: Statistics): Promise<Drift> {
    const difference = await this.#difference.finish();
    const cross = this.#cross;
    this.#cross = undefined;
    return new Drift(this.#device, difference, inputs, cross);
  }

  dispose(): void {
    this.#difference.dispose();
    this.#cross?.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
