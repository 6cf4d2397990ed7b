// The quantizers that a search for activation ranges tries. Uniform ones take shares of the observed range, up to a
// little beyond it. Twin ones (arXiv 2111.12293) spend one bit on which of two uniform quantizers a value is for, since
// what comes out of a softmax or a GELU crowds near zero on one side:
//   softmax  values below a threshold have a step 2^m times finer than those above; m is searched.
//   GELU     negative values have a step 2^m times finer than positive ones, m as large as covers them; the positive
//            step is searched.

import {
  type ActivationQuantizer,
  type Range,
  type TwinQuantizer,
  uniformQuantizer,
} from './quantizer.js';
import type { RangeGrid } from './range-observer.js';

/** Of an observed range, that a search tries. */
export const shares: readonly number[] = Array.from(
  { length: 36 },
  (_, i) => 0.15 + (1.05 * (i + 1)) / 36,
);
/** Beyond this, the finer side covers next to nothing. */
const finest = 10;

export function uniformCandidates({ low, high }: Range, grid: RangeGrid): ActivationQuantizer[] {
  return shares.map((share) => uniformQuantizer({ low: low * share, high: high * share }, grid));
}

/** For values from 0 on. */
export function softmaxCandidates({ high }: Range, { bits }: RangeGrid): TwinQuantizer[] {
  const last = 2 ** (bits - 1) - 1;
  const highScale = Math.max(high, Number.MIN_VALUE) / Math.max(last, 1);
  return Array.from({ length: finest + 1 }, (_, m) => {
    const lowScale = highScale / 2 ** m;
    return {
      kind: 'twin',
      bits,
      threshold: lowScale * (last + 1),
      lowScale,
      lowMin: 0,
      lowMax: last,
      highScale,
      highMax: last,
    };
  });
}

/** For values of both signs, small ones below 0. */
export function signedCandidates({ low, high }: Range, { bits }: RangeGrid): TwinQuantizer[] {
  const last = Math.max(2 ** (bits - 1) - 1, 1);
  return shares.map((share) => {
    const highScale = (share * Math.max(high, Number.MIN_VALUE)) / last;
    const covered = Math.max(-low, Number.MIN_VALUE) / last;
    const m = Math.min(Math.max(Math.floor(Math.log2(highScale / covered)), 0), finest);
    return {
      kind: 'twin',
      bits,
      threshold: 0,
      lowScale: highScale / 2 ** m,
      lowMin: -last,
      lowMax: 0,
      highScale,
      highMax: last,
    };
  });
}
