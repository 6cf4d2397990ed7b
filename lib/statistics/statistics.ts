// Sums over calibration tokens for one input group: (n, Σx, Σxxᵀ), which merge by addition. Second moments are
// summed about a shift near the mean (the first mini-batch's), so that channels with large means lose no digits
// when the covariance is formed. Where they are of some of the tokens only, G and Σ are those tokens' own, with their own
// count and mean. Of inputs that no token reached nothing is known: their mean is taken to be 0 and G to be 1, as if each
// channel varied by itself, which leaves quantizers to round to nearest. Legend: x [c] inputs, μ = E[x], G = E[xxᵀ],
// Σ = G − μμᵀ.

import { allOrNothing } from '../all-or-nothing.js';
import type { Device, Tensor } from '../device/index.js';
import { addTokens, divided, plus, type TokenSum, totalOf } from './token-sum.js';

export interface StatisticsNeeds {
  /** Σxxᵀ besides Σx. */
  readonly moment: boolean;
  /** A mean per position of the sequence besides the overall one. */
  readonly positions: boolean;
}

/** Finished statistics. Dispose when the group has been fitted. */
export class Statistics implements Disposable {
  readonly #device: Device;
  readonly #moment: FinishedMoment | undefined;
  #secondMoment: Tensor | undefined;
  #covariance: Tensor | undefined;

  constructor(
    device: Device,
    /** Tokens; 0 where none came here. */
    readonly count: number,
    /** [c] float64, μ. */
    readonly mean: Tensor,
    /** [sequence, c] float32, μ per position. */
    readonly positionMeans: Tensor | undefined,
    moment: FinishedMoment | undefined,
  ) {
    this.#device = device;
    this.#moment = moment;
  }

  /** Whether tokens came here that the moment is of, or, without one, any. */
  get isKnown(): boolean {
    return this.count > 0 && this.#moment?.tokens !== 0;
  }

  get hasMoment(): boolean {
    return this.#moment !== undefined;
  }

  /** Count and mean of the tokens that the moment is of. */
  get ofMoment(): TokenMean {
    return this.#moment ?? this;
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
  copyTo(device: Device): Promise<Statistics> {
    return allOrNothing(async (own) => {
      const moment = this.#moment && {
        count: this.#moment.count,
        tokens: this.#moment.tokens,
        mean: await own(this.#moment.mean.copyTo(device)),
        sum: await own(this.#moment.sum.copyTo(device)),
        shift: await own(this.#moment.shift.copyTo(device)),
      };
      const mean = await own(this.mean.copyTo(device));
      const positionMeans = await own(this.positionMeans?.copyTo(device));
      return new Statistics(device, this.count, mean, positionMeans, moment);
    });
  }

  dispose(): void {
    this.mean.dispose();
    this.positionMeans?.dispose();
    this.#moment?.mean.dispose();
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
    const { sum, shift, count, mean } = this.#moment;
    const options = { count, centred, symmetric: true, shiftX: shift, shiftY: shift };
    return this.#device.keep(this.#device.moment(sum, mean, mean, options));
  }
}

interface TokenMean {
  readonly count: number;
  /** [c] float64. */
  readonly mean: Tensor;
}

interface FinishedMoment extends ShiftedMoment, TokenMean {
  /** As the count, but 0 for one that stands in for what is not known. */
  readonly tokens: number;
}

/** Σ(x − shift)(x − shift)ᵀ, upper triangle. */
interface ShiftedMoment {
  sum: Tensor;
  shift: Tensor;
}

/** Statistics being summed. */
export class StatisticsSums implements Disposable {
  readonly #device: Device;
  readonly #needs: StatisticsNeeds;
  readonly #sequence: number;
  /** Of tokens with a moment, and of those without. */
  readonly #withMoment: TokenSum = { count: 0, sum: undefined };
  readonly #without: TokenSum = { count: 0, sum: undefined };
  #positionSum: Tensor | undefined;
  #moment: ShiftedMoment | undefined;

  constructor(device: Device, sequence: number, needs: StatisticsNeeds) {
    this.#device = device;
    this.#sequence = sequence;
    this.#needs = needs;
  }

  /** Adds x [n, c], whole sequences or none; their moment where it is needed, and not said not to be. Queued. */
  add(x: Tensor, withMoment = true): void {
    const device = this.#device;
    const channels = x.cols;
    const tokens = this.#needs.moment && withMoment ? this.#withMoment : this.#without;
    const isFirst = tokens.count === 0;
    tokens.count += x.rows;
    tokens.sum ??= device.keep(device.zeros('float64', [channels]));
    device.channelSum(x, tokens.sum);
    if (this.#needs.positions) {
      const width = this.#sequence * channels;
      this.#positionSum ??= device.keep(device.zeros('float64', [width]));
      const samples = device.reshape(x, [x.elements / width, width]);
      device.channelSum(samples, this.#positionSum);
    }
    if (tokens === this.#withMoment) {
      this.#moment ??= {
        sum: device.keep(device.zeros('float32', [channels, channels])),
        shift: device.keep(device.zeros('float32', [channels])),
      };
      if (x.rows === 0) return;
      if (isFirst) {
        this.#moment.shift.dispose();
        this.#moment.shift = device.keep(
          device.scale(device.cast(tokens.sum, 'float32'), 1 / x.rows),
        );
      }
      device.secondMoment(x, this.#moment.sum, { shiftX: this.#moment.shift });
    }
  }

  /**
   * Adds what was summed on another device, which may be nothing. Here at least one batch must have been added, with its
   * moment where any has one.
   */
  async merge(other: StatisticsSums): Promise<void> {
    const device = this.#device;
    const added = other.#withMoment;
    if (this.#withMoment.count === 0 && other.#moment !== undefined) {
      await this.#adopt(other.#moment);
    } else if (added.sum !== undefined && this.#moment && other.#moment && added.count > 0) {
      const sum = await added.sum.readFloat64();
      await addMoment(device, this.#moment, other.#moment, { count: added.count, sum });
    }
    await addTokens(device, this.#withMoment, added);
    await addTokens(device, this.#without, other.#without);
    const positionSum = await other.#positionSum?.readFloat64();
    if (positionSum === undefined) return;
    this.#positionSum = await plus(device, this.#positionSum, positionSum);
  }

  /** Forms means and hands the moment over. At least one batch must have been added. */
  async finish(): Promise<Statistics> {
    const device = this.#device;
    const [own, rest] = [this.#withMoment, this.#without];
    const sums = [own.sum, rest.sum, this.#positionSum];
    const [ofOwn, ofRest, ofPositions] = await Promise.all(sums.map((sum) => sum?.readFloat64()));
    const total = totalOf(ofOwn, ofRest);
    const count = own.count + rest.count;
    if (own.count === 0 && this.#moment !== undefined) this.#takeAsUnknown(total.length);
    const meanOf = (sum: Float64Array, tokens: number) =>
      device.upload('float64', [sum.length], divided(sum, tokens));
    const moment = this.#moment && {
      ...this.#moment,
      count: Math.max(own.count, 1),
      tokens: own.count,
      mean: meanOf(ofOwn ?? total, own.count),
    };
    const positionMeans = ofPositions && this.#meansOf(ofPositions, total.length, count);
    this.#moment = undefined;
    this.dispose();
    return new Statistics(device, count, meanOf(total, count), positionMeans, moment);
  }

  dispose(): void {
    this.#withMoment.sum?.dispose();
    this.#without.sum?.dispose();
    this.#positionSum?.dispose();
    this.#moment?.sum.dispose();
    this.#moment?.shift.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The moment of another device, whose shift is near its mean; here none has been summed. */
  async #adopt({ sum, shift }: ShiftedMoment): Promise<void> {
    const adopted = {
      sum: await sum.copyTo(this.#device),
      shift: await shift.copyTo(this.#device),
    };
    this.#moment?.sum.dispose();
    this.#moment?.shift.dispose();
    this.#moment = adopted;
  }

  #takeAsUnknown(channels: number): void {
    if (this.#moment === undefined) return;
    const ones = new Float32Array(channels ** 2);
    for (let i = 0; i < ones.length; i += channels + 1) ones[i] = 1;
    this.#moment.sum.dispose();
    this.#moment.sum = this.#device.upload('float32', [channels, channels], ones);
  }

  #meansOf(positionSum: Float64Array, channels: number, tokens: number): Tensor {
    const means = Float32Array.from(divided(positionSum, tokens / this.#sequence));
    return this.#device.upload('float32', [this.#sequence, channels], means);
  }
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

function joined(first: Float64Array, second: Float64Array): Float32Array {
  const values = new Float32Array(first.length + second.length);
  values.set(first);
  values.set(second, first.length);
  return values;
}
