// What is remembered of the values that a site has seen during calibration: their range, and an even sample of them for
// rules that look at more than the extremes. The sample keeps every 2^k-th value, k growing as values come, so it is the
// same whatever the mini-batches were.

import { type Range, uniformQuantizer } from './quantizer.js';

export interface RangeGrid {
  readonly bits: number;
  readonly symmetric: boolean;
}

/** How a static range is chosen. */
export type RangeRule = 'minmax' | 'percentile' | 'mse';

const sampleSize = 1 << 16;
/** What 'percentile' keeps on either side. */
const kept = 0.9999;
/** The search of 'mse': shrink steps, and the share of the range that is searched. */
const steps = 80;
const searched = 0.9;

export class RangeObserver {
  #low = Number.POSITIVE_INFINITY;
  #high = Number.NEGATIVE_INFINITY;
  #sample: number[] = [];
  #stride = 1;
  #next = 0;
  #seen = 0;

  add(values: Float32Array): void {
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (value < this.#low) this.#low = value;
      if (value > this.#high) this.#high = value;
    }
    for (; this.#next < this.#seen + values.length; this.#next += this.#stride) {
      this.#sample.push(values[this.#next - this.#seen] as number);
      if (this.#sample.length === 2 * sampleSize) {
        this.#sample = this.#sample.filter((_, i) => i % 2 === 0);
        this.#stride *= 2;
      }
    }
    this.#seen += values.length;
  }

  /** An even sample of what was seen. */
  get sample(): Float32Array {
    return Float32Array.from(this.#sample);
  }

  range(rule: RangeRule, grid: RangeGrid): Range {
    const all = { low: this.#low, high: this.#high };
    if (rule === 'minmax') return all;
    return rule === 'percentile' ? percentiles(this.sample) : leastError(this.sample, all, grid);
  }
}

function percentiles(sample: Float32Array): Range {
  const sorted = sample.sort();
  const last = sorted.length - 1;
  const high = sorted[Math.round(last * kept)] ?? 0;
  return { low: sorted[Math.round(last * (1 - kept))] ?? 0, high };
}

/** Of ranges that shrink evenly on both sides, the one whose grid gives the least squared error. */
function leastError(sample: Float32Array, { low, high }: Range, grid: RangeGrid): Range {
  const thinned = sample.filter((_, i) => i % 4 === 0);
  let best = { low, high };
  let least = Number.POSITIVE_INFINITY;
  for (let step = 0; step < steps; step++) {
    const share = 1 - (searched * step) / steps;
    const range = { low: low * share, high: high * share };
    const error = squaredError(thinned, range, grid);
    if (error < least) {
      least = error;
      best = range;
    }
  }
  return best;
}

function squaredError(sample: Float32Array, range: Range, grid: RangeGrid): number {
  const { scale, zero } = uniformQuantizer(range, grid);
  const last = 2 ** grid.bits - 1;
  let error = 0;
  for (const value of sample) {
    const code = Math.min(Math.max(Math.round(value / scale) + zero, 0), last);
    error += (value - scale * (code - zero)) ** 2;
  }
  return error;
}
