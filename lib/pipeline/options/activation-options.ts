// What a caller may ask of activations: options of a quantization like those of options.ts, which takes them up.

import type { RangeRule } from '../../activations/index.js';
import { BallastError } from '../../errors.js';
import { type Check, isBoolean, isOneOf, isSetOf, isWhole } from '../../option-checks.js';

type ActivationSite = 'linear' | 'attention';

type ActivationRange = RangeRule | 'cosine' | 'hessian' | 'dynamic';

export interface ActivationOptions {
  /** Bits per activation, 2 to 8; 0 (default) leaves activations float. */
  readonly activationBits?: number;
  /** Which activations: inputs of linears, operands of attention's products. Default ['linear']. */
  readonly activationSites?: readonly ActivationSite[];
  /**
   * How ranges are found: from the values of calibration data; by a search for what changes the products that read them
   * least, in angle ('cosine') or weighed by the loss's gradients ('hessian', image classifiers only); or anew for every
   * input ('dynamic'). Default 'minmax'.
   */
  readonly activationRange?: ActivationRange;
  /** With a search: two ranges for what comes out of softmax and activation functions; default false. */
  readonly activationTwin?: boolean;
  /** One range a tensor or, with activationRange 'dynamic', one a token; default 'tensor'. */
  readonly activationGranularity?: 'tensor' | 'token';
  /** Fixed zero point in the middle of the activations' codes; default false. */
  readonly activationSymmetric?: boolean;
}

export const activationDefaults = {
  activationBits: 0,
  activationSites: ['linear'],
  activationRange: 'minmax',
  activationTwin: false,
  activationGranularity: 'tensor',
  activationSymmetric: false,
} as const satisfies ActivationOptions;

export const activationChecks: Readonly<Record<keyof ActivationOptions, Check>> = {
  activationBits: (value) =>
    value === 0 || isWhole(2, 8)(value) === undefined
      ? undefined
      : '0 or a whole number from 2 to 8',
  activationSites: isSetOf('linear', 'attention'),
  activationRange: isOneOf('minmax', 'percentile', 'mse', 'cosine', 'hessian', 'dynamic'),
  activationTwin: isBoolean,
  activationGranularity: isOneOf('tensor', 'token'),
  activationSymmetric: isBoolean,
};

/** Errors: ERR_ARGUMENT for options that contradict each other, and for those `given` that come to nothing without bits. */
export function expectActivationOptions(
  { activationGranularity, activationRange, activationTwin }: ActivationOptions,
  given: ActivationOptions,
): void {
  const names = Object.keys(activationChecks) as (keyof ActivationOptions)[];
  const first = names.find((name) => given[name] !== undefined);
  if (first !== undefined && given.activationBits === undefined) {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected activationBits with ${first}: activations stay float unless bits are given.`,
    );
  }
  if (activationGranularity === 'token' && activationRange !== 'dynamic') {
    throw new BallastError(
      'ERR_ARGUMENT',
      "Expected activationRange 'dynamic' with activationGranularity 'token': what comes at a token is not known beforehand.",
    );
  }
  if (activationTwin && activationRange !== 'cosine' && activationRange !== 'hessian') {
    throw new BallastError(
      'ERR_ARGUMENT',
      "Expected activationRange 'cosine' or 'hessian' with activationTwin: where twin ranges meet is searched.",
    );
  }
}
