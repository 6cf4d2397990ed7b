// Fake quantization of activations: what a quantizer is as data (it travels beside the weights as JSON), and as a
// function of tensors on a device. Grids are those of weights: value ≈ scale · (code − zero), the range includes zero.

import type { Device, Tensor, TwinOptions } from '../device/index.js';

/** Finds its range anew for every tensor, or every token of it. */
interface DynamicQuantizer {
  readonly kind: 'dynamic';
  readonly bits: number;
  readonly symmetric: boolean;
  readonly granularity: 'tensor' | 'token';
}

interface UniformQuantizer {
  readonly kind: 'uniform';
  readonly bits: number;
  readonly scale: number;
  readonly zero: number;
}

/** For values that crowd near zero on one side of a threshold; see candidates.ts. */
export interface TwinQuantizer extends TwinOptions {
  readonly kind: 'twin';
  readonly bits: number;
}

export type ActivationQuantizer = DynamicQuantizer | UniformQuantizer | TwinQuantizer;

export interface Range {
  readonly low: number;
  readonly high: number;
}

/** The grid of a range; see `Scheme` in native/backend/params.h. */
export function uniformQuantizer(
  range: Range,
  { bits, symmetric }: { readonly bits: number; readonly symmetric: boolean },
): UniformQuantizer {
  const empty = range.low >= 0 && range.high <= 0;
  const low = empty ? -1 : Math.min(range.low, 0);
  const high = empty ? 1 : Math.max(range.high, 0);
  const steps = 2 ** bits - 1;
  if (symmetric) {
    const scale = Math.fround((2 * Math.max(-low, high)) / steps);
    return { kind: 'uniform', bits, scale, zero: 2 ** (bits - 1) };
  }
  const scale = Math.fround((high - low) / steps);
  return { kind: 'uniform', bits, scale, zero: Math.round(0 - low / scale) };
}

/** A quantizer on a device. */
export interface OpenQuantizer extends Disposable {
  apply(x: Tensor): Tensor;
}

export function openQuantizer(device: Device, quantizer: ActivationQuantizer): OpenQuantizer {
  switch (quantizer.kind) {
    case 'dynamic': {
      const { bits, symmetric } = quantizer;
      const granularity = quantizer.granularity === 'token' ? 'row' : 'tensor';
      return {
        apply: (x) => device.fakeQuantize(x, { bits, symmetric, granularity }),
        [Symbol.dispose]: () => {},
      };
    }
    case 'uniform': {
      const { bits, scale, zero } = quantizer;
      const scales = device.keep(device.upload('float32', [1], Float32Array.of(scale)));
      const zeros = device.keep(device.upload('float32', [1], Float32Array.of(zero)));
      return {
        apply: (x) => device.fakeQuantize(x, { bits, granularity: 'tensor', scales, zeros }),
        [Symbol.dispose]: () => {
          scales.dispose();
          zeros.dispose();
        },
      };
    }
    case 'twin': {
      const { kind: _kind, bits: _bits, ...options } = quantizer;
      return { apply: (x) => device.twinQuantize(x, options), [Symbol.dispose]: () => {} };
    }
  }
}
