// Sums over calibration tokens for one input group: (n, Σx, Σxxᵀ), which merge by addition. Second moments are
// summed about a shift near the mean (the first mini-batch's), so that channels with large means lose no digits
// when the covariance is formed. Legend: x [c] inputs, μ = E[x], G = E[xxᵀ], Σ = G − μμᵀ.

import type { Device, Tensor } from '../device/index.js';

export interface StatisticsNeeds {
  /** Σxxᵀ besides Σx. */
  readonly moment: boolean;
  /** A mean per position of the sequence besides the overall one. */
  readonly positions: boolean;
}

/** Finished statistics. Dispose when the group has been fitted. */
export class Statistics implements Disposable {
  readonly #device: Device;
  readonly #moment: ShiftedMoment | undefined;
  #secondMoment: Tensor | undefined;
  #covariance: Tensor | undefined;

  constructor(
    device: Device,
    /** Tokens. */
    readonly count: number,
    /** [c] float64, μ. */
    readonly mean: Tensor,
    /** [sequence, c] float32, μ per position. */
    readonly positionMeans: Tensor | undefined,
    moment: ShiftedMoment | undefined,
  ) {
    this.#device = device;
    this.#moment = moment;
  }

  get hasMoment(): boolean {
    return this.#moment !== undefined;
  }

  /** [c, c] float32, G. Formed when first asked for. */
  get secondMoment(): Tensor {
    this.#secondMoment ??= this.#about(false);
    return this.#secondMoment;
  }

  /** [c, c] float32, Σ. Formed when first asked for. */
  get covariance(): Tensor {
    this.#covariance ??= this.#about(true);
    return this.#covariance;
  }

  /** The same on another device, or in handles of their own. */
  async copyTo(device: Device): Promise<Statistics> {
    const moment = this.#moment && {
      sum: await this.#moment.sum.copyTo(device),
      shift: await this.#moment.shift.copyTo(device),
    };
    const mean = await this.mean.copyTo(device);
    const positionMeans = await this.positionMeans?.copyTo(device);
    return new Statistics(device, this.count, mean, positionMeans, moment);
  }

  dispose(): void {
    this.mean.dispose();
    this.positionMeans?.dispose();
    this.#moment?.sum.dispose();
    this.#moment?.shift.dispose();
    this.#secondMoment?.dispose();
    this.#covariance?.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #about(centred: boolean): Tensor {
    if (this.#moment === undefined) throw new RangeError('These statistics hold no moment.');
    const { sum, shift } = this.#moment;
    const options = { count: this.count, centred, symmetric: true, shiftX: shift, shiftY: shift };
    return this.#device.keep(this.#device.moment(sum, this.mean, this.mean, options));
  }
}

/** Σ(x − shift)(x − shift)ᵀ, upper triangle. */
interface ShiftedMoment {
  sum: Tensor;
  readonly shift: Tensor;
}

/** Statistics being summed. */
export class StatisticsSums implements Disposable {
  readonly #device: Device;
  readonly #needs: StatisticsNeeds;
  readonly #sequence: number;
  #count = 0;
  #sum: Tensor | undefined;
  #positionSum: Tensor | undefined;
  #moment: ShiftedMoment | undefined;

  constructor(device: Device, sequence: number, needs: StatisticsNeeds) {
    this.#device = device;
    this.#sequence = sequence;
    this.#needs = needs;
  }

  get count(): number {
    return this.#count;
  }

  /** Adds x [n, c] float32, whole sequences. Queued. */
  add(x: Tensor): void {
    const device = this.#device;
    const channels = x.cols;
    this.#count += x.rows;
    this.#sum ??= device.keep(device.zeros('float64', [channels]));
    device.channelSum(x, this.#sum);
    if (this.#needs.positions) {
      const width = this.#sequence * channels;
      this.#positionSum ??= device.keep(device.zeros('float64', [width]));
      const samples = device.reshape(x, [x.elements / width, width]);
      device.channelSum(samples, this.#positionSum);
    }
    if (this.#needs.moment) {
      this.#moment ??= {
        sum: device.keep(device.zeros('float32', [channels, channels])),
        shift: device.keep(device.scale(device.cast(this.#sum, 'float32'), 1 / x.rows)),
      };
      device.secondMoment(x, this.#moment.sum, { shiftX: this.#moment.shift });
    }
  }

  /** Adds what was summed on another device, which may be nothing. Here at least one batch must have been added. */
  async merge(other: StatisticsSums): Promise<void> {
    if (other.#sum === undefined) return;
    const device = this.#device;
    const [count, sum] = [other.#count, await other.#sum.readFloat64()];
    if (this.#moment !== undefined && other.#moment !== undefined) {
      await addMoment(device, this.#moment, other.#moment, { count, sum });
    }
    this.#count += count;
    this.#sum = await plus(device, this.#sum, sum);
    const positionSum = await other.#positionSum?.readFloat64();
    if (positionSum === undefined) return;
    this.#positionSum = await plus(device, this.#positionSum, positionSum);
  }

  /** Forms means and hands the moment over. At least one batch must have been added. */
  async finish(): Promise<Statistics> {
    const device = this.#device;
    const sum = this.#sum;
    if (sum === undefined) throw new RangeError('Statistics of no tokens.');
    const mean = device.upload('float64', sum.shape, await divided(sum, this.#count));
    const positionMeans = await this.#positionMeans(sum.cols);
    const moment = this.#moment;
    this.#moment = undefined;
    this.dispose();
    return new Statistics(device, this.#count, mean, positionMeans, moment);
  }

  dispose(): void {
    this.#sum?.dispose();
    this.#positionSum?.dispose();
    this.#moment?.sum.dispose();
    this.#moment?.shift.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async #positionMeans(channels: number): Promise<Tensor | undefined> {
    if (this.#positionSum === undefined) return undefined;
    const samples = this.#count / this.#sequence;
    const means = Float32Array.from(await divided(this.#positionSum, samples));
    return this.#device.upload('float32', [this.#sequence, channels], means);
  }
}

async function divided(sum: Tensor, count: number): Promise<Float64Array> {
  return (await sum.readFloat64()).map((value) => value / count);
}

/**
 * Adds a moment about another shift s′. With δ = s′ − s and d = Σ(x − s′) over its n tokens,
 *   Σ(x − s)(x − s)ᵀ = Σ(x − s′)(x − s′)ᵀ + δeᵀ + eδᵀ,   e = d + nδ/2,
 * and δ, the difference of two means of mini-batches, is small.
 */
async function addMoment(
  device: Device,
  own: ShiftedMoment,
  other: ShiftedMoment,
  { count, sum }: { readonly count: number; readonly sum: Float64Array },
): Promise<void> {
  const [here, there] = [await own.shift.readFloat32(), await other.shift.readFloat32()];
  const delta = Float64Array.from(there, (shift, i) => shift - (here[i] ?? 0));
  const e = sum.map((total, i) => total - count * (there[i] ?? 0) + (count / 2) * (delta[i] ?? 0));
  using received = await other.sum.copyTo(device);
  const before = own.sum;
  own.sum = device.scope(() => {
    const rows = (first: Float64Array, second: Float64Array) =>
      device.upload('float32', [2, sum.length], joined(first, second));
    const total = device.add(before, received);
    device.secondMoment(rows(delta, e), total, { y: rows(e, delta), precision: 'float32' });
    return total;
  });
  before.dispose();
}

/** A sum [c] float64 and what is added to it; takes the sum's place. */
async function plus(device: Device, own: Tensor | undefined, added: Float64Array): Promise<Tensor> {
  if (own === undefined) throw new RangeError('Sums of no tokens to add to.');
  const values = await own.readFloat64();
  own.dispose();
  const total = values.map((value, i) => value + (added[i] ?? 0));
  return device.upload('float64', own.shape, total);
}

function joined(first: Float64Array, second: Float64Array): Float32Array {
  const values = new Float32Array(first.length + second.length);
  values.set(first);
  values.set(second, first.length);
  return values;
}
