// What a weight quantizer is: it sees one weight and the second moment of its inputs, and gives codes and group
// parameters. It knows neither models nor whether a bias will follow: the moment that it is handed decides that.

import type { Device, GridOptions, Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';

/** The grid that codes live on. */
export interface Scheme {
  /** 2 to 8. */
  readonly bits: number;
  /** Input channels that share a scale; 0 for one scale per output channel. */
  readonly groupSize: number;
  /** Zero point fixed in the middle of the codes. */
  readonly symmetric: boolean;
  /** 'mse' searches the range that gives the least weight error; 'none' takes the full range. */
  readonly clip: 'none' | 'mse';
  /** Scales are rounded to this type before anything is computed from them. */
  readonly scaleDtype: 'float32' | 'float16' | 'bfloat16';
  /** Scales and offsets of 256 columns are small whole multiples of two float16 numbers, as in ggml's types Q2_K … Q6_K. */
  readonly superBlocks: boolean;
}

/** Options that only some quantizers read. */
export interface QuantizerOptions {
  /** λ added to the moment's diagonal, as a share of its mean. */
  readonly damping: number;
  /** Quantize columns in order of decreasing moment. */
  readonly actOrder: boolean;
  /** With actOrder: find group parameters in the original order, before the sweep. */
  readonly staticGroups: boolean;
  /** Rounds of coordinate descent at most. */
  readonly rounds: number;
  /** In which order descent goes through the columns: as they are, or by what leaving one out would cost. */
  readonly order: 'cyclic' | 'greedy';
  /** 'scales': once codes are found, scales are moved to where the layer's error is least. */
  readonly refit: 'none' | 'scales';
}

/** value = scale · (code − zero), scale and zero of the column's group. */
export interface GroupParameters {
  /** [out, groups] float32. */
  readonly scales: Tensor;
  /** [out, groups] float32. */
  readonly zeros: Tensor;
}

export interface QuantizedWeight extends GroupParameters {
  /** [out, in] uint8. */
  readonly codes: Tensor;
  /** [in] int32, the group of each column; absent where groups are consecutive columns. */
  readonly groupIndex?: Tensor | undefined;
  /** [1] float64, the damping that the factorisation took. */
  readonly damping?: Tensor | undefined;
}

/** What the linears of one input group share. */
export interface GroupInput {
  readonly device: Device;
  /** [in, in] float32, G or Σ; present when the quantizer `needs` it or statistics are there anyway. */
  readonly moment?: Tensor | undefined;
  readonly scheme: Scheme;
  readonly options: QuantizerOptions;
}

/** The same with its moment there. */
export type MomentInput = GroupInput & { readonly moment: Tensor };

/** Throws ERR_ARGUMENT where there is none. */
export function expectMoment(name: string, input: GroupInput): MomentInput {
  const { moment } = input;
  if (moment === undefined) {
    throw new BallastError('ERR_ARGUMENT', `${name} needs the second moment of a linear's inputs.`);
  }
  return { ...input, moment };
}

export interface Quantizer {
  readonly name: string;
  /** One line for help texts. */
  readonly summary: string;
  /** Whether `GroupInput.moment` must be present. */
  readonly needsMoment: boolean;
  /** Whether it takes group parameters that were found before. */
  readonly takesParameters?: true;
  /** Whether `actOrder` says in which order it takes columns. */
  readonly takesActOrder?: true;
  /** Whether `refit` says if its scales are moved once codes are found; others always do what is best for them. */
  readonly takesRefit?: true;
  /** Whether it descends: by `rounds` and `order`. */
  readonly takesRounds?: true;
  /** What it does best with, where that is not everybody's default. */
  readonly defaults?: Partial<QuantizerOptions & Pick<Scheme, 'clip'>>;
  /** The same, where a bias is fitted jointly. */
  readonly jointDefaults?: Partial<QuantizerOptions>;
  /**
   * Prepares what the group's linears share (a factorisation, say) and returns what quantizes each weight
   * [out, in] of a weight dtype. Work is queued.
   */
  forGroup(input: GroupInput): Promise<GroupQuantizer>;
}

export interface GroupQuantizer extends Disposable {
  /** `found` only of a quantizer that takes parameters; it leaves them to the caller. */
  quantize(weight: Tensor, found?: GroupParameters): QuantizedWeight;
}

/** 80 steps down to a fifth of the range under |·|^2.4: the search of the GPTQ reference program. */
export function gridOptions(scheme: Scheme): GridOptions {
  return {
    bits: scheme.bits,
    groupSize: scheme.groupSize,
    symmetric: scheme.symmetric,
    clipSteps: scheme.clip === 'mse' ? 80 : 0,
    clipRange: 0.8,
    clipExponent: 2.4,
    scaleDtype: scheme.scaleDtype,
  };
}

/**
 * For scales that are refitted afterwards: 12 steps down to half of the range under the square, which is the layer's
 * error but for what channels have in common. As good a start as the finer search, at a sixth of its time.
 */
export function coarseGridOptions(scheme: Scheme): GridOptions {
  const grid = gridOptions(scheme);
  return { ...grid, clipSteps: grid.clipSteps > 0 ? 12 : 0, clipRange: 0.5, clipExponent: 2 };
}
