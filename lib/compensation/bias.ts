// The bias of one linear: fitted on the calibration tokens, gated on held-out ones, certified on both.
// With m the residual's mean (per channel, or per position and channel) a bias b lowers the error by
// 2⟨b, m⟩ − ‖b‖², averaged over positions; m of the fitted tokens gives b, m of the held-out ones judges it. A bias that
// stands for a constant on the linear's inputs is Q E[D] instead, and must lower the error of both.

import type { Device, Tensor } from '../device/index.js';
import type { GroupStatistics } from '../statistics/index.js';
import {
  outputEnergy,
  positionOutputs,
  positionResidual,
  residualOf,
  squares,
} from './residual.js';

export type BiasGranularity = 'none' | 'channel' | 'position';

/** What a bias makes good: the mean error of the output, or what the inputs have drifted from those of the target. */
export type BiasSource = 'output' | 'inputs';

interface BiasInput {
  readonly device: Device;
  /** W and Q [out, in], of weight dtypes. */
  readonly weight: Tensor;
  readonly quantized: Tensor;
  /** Of the tokens that are fitted on. */
  readonly fitted: GroupStatistics;
  /** Of tokens that are not; without such every bias is kept. */
  readonly heldOut?: GroupStatistics | undefined;
  readonly granularity: BiasGranularity;
  /** Default 'output'. */
  readonly source?: BiasSource;
  /** k of the shrinkage b·n/(n + k), n the observations that b is a mean of; 0 for none. */
  readonly shrinkage: number;
}

/** Errors are relative to the energy of the float output on the fitted tokens, tr(W G Wᵀ). */
export interface Certificate {
  readonly error: number;
  /** Equal to `error` where there is no bias, or it was not kept. */
  readonly errorWithBias: number;
  /** ‖b‖², per token, relative too. */
  readonly biasEnergy: number;
  readonly biasKept: boolean;
  /** On the held-out tokens; the bias is judged here also where it was not kept. */
  readonly heldOutError?: number;
  readonly heldOutErrorWithBias?: number;
  /** tr(W G Wᵀ), per token. */
  readonly outputEnergy: number;
}

export interface FittedBias {
  /** [out], or [sequence · out] for granularity 'position'; absent where none is kept. */
  readonly bias?: Float64Array | Float32Array;
  readonly certificate: Certificate;
}

/** What the residual of an output is, as a bias sees it. */
export interface Fit {
  /** E‖e‖². */
  readonly error: number;
  /** m, the mean that a bias of the wanted granularity could remove. */
  readonly mean: Float64Array | Float32Array;
  /** Positions that m has. */
  readonly positions: number;
}

/** A bias, what it was fitted on, and what judges it. */
interface BiasCandidate {
  readonly bias: Float64Array | Float32Array;
  readonly fit: Fit;
  /** On held-out tokens; without them the bias is kept. */
  readonly judge?: Fit | undefined;
  /** What errors are relative to, per token; 0 leaves them absolute. */
  readonly outputEnergy: number;
  /** Whether it must show on the fitted tokens too that it helps: not where it is their residual's own mean. */
  readonly onTrial?: boolean;
}

/**
 * Whether tokens tell a bias and, where some are held out, others judge it: not of an expert that all of either went past.
 */
export function tellsBias({ fitted, heldOut }: Pick<BiasInput, 'fitted' | 'heldOut'>): boolean {
  return fitted.inputs.isKnown && (heldOut === undefined || heldOut.inputs.isKnown);
}

export async function fitBias(input: BiasInput): Promise<FittedBias> {
  const { device, weight, granularity, fitted, heldOut } = input;
  // All is queued before anything is waited for.
  const isTold = tellsBias(input);
  const [energy, fit, judge] = await Promise.all([
    outputEnergy(device, weight, fitted),
    fitOf(input, fitted),
    heldOut && isTold ? fitOf(input, heldOut) : undefined,
  ]);
  if (granularity === 'none' || !isTold) {
    return { certificate: uncompensated(fit, judge, energy) };
  }
  const onTrial = input.source === 'inputs';
  const mean = onTrial ? await driftOf(input) : fit.mean;
  const bias = shrunk(mean, fitted.inputs.count / fit.positions, input.shrinkage);
  return judged({ bias, fit, judge, outputEnergy: energy, onTrial });
}

/** b·n/(n + k), n the observations that b is a mean of. */
export function shrunk<Values extends Float64Array | Float32Array>(
  mean: Values,
  observations: number,
  shrinkage: number,
): Values {
  const share = observations === 0 ? 0 : observations / (observations + shrinkage);
  return mean.map((value) => value * share) as Values;
}

/** The bias, if held-out tokens speak for it, and its certificate. */
export function judged(candidate: BiasCandidate): FittedBias {
  const { bias, fit, judge, outputEnergy: energy, onTrial } = candidate;
  const unit = unitOf(energy);
  const gain = gainOf(bias, fit);
  const heldOutGain = judge === undefined ? undefined : gainOf(bias, judge);
  const kept = (!onTrial || gain > 0) && (heldOutGain === undefined || heldOutGain > 0);
  return {
    ...(kept ? { bias } : {}),
    certificate: {
      error: fit.error / unit,
      errorWithBias: (fit.error - (kept ? gain : 0)) / unit,
      biasEnergy: squares(bias) / fit.positions / unit,
      biasKept: kept,
      ...(judge === undefined || heldOutGain === undefined
        ? {}
        : {
            heldOutError: judge.error / unit,
            heldOutErrorWithBias: (judge.error - heldOutGain) / unit,
          }),
      outputEnergy: energy,
    },
  };
}

function uncompensated(fit: Fit, judge: Fit | undefined, energy: number): Certificate {
  const unit = unitOf(energy);
  const error = fit.error / unit;
  const heldOut = judge === undefined ? undefined : judge.error / unit;
  return {
    ...{ error, errorWithBias: error, biasEnergy: 0, biasKept: false },
    ...(heldOut === undefined ? {} : { heldOutError: heldOut, heldOutErrorWithBias: heldOut }),
    outputEnergy: energy,
  };
}

/** A constant zero output has no energy; its errors are then absolute. */
function unitOf(energy: number): number {
  return energy > 0 ? energy : 1;
}

async function fitOf(input: BiasInput, statistics: GroupStatistics): Promise<Fit> {
  const { device, weight, quantized, granularity } = input;
  const { variance, mean } = await residualOf(device, weight, quantized, statistics);
  const error = variance + squares(mean);
  if (granularity !== 'position') return { error, mean, positions: 1 };
  const means = await positionResidual(device, weight, quantized, statistics);
  return { error, mean: means, positions: means.length / mean.length };
}

/** Q E[D] of the wanted granularity; zeros where inputs have not drifted. */
async function driftOf({ device, quantized, fitted, granularity }: BiasInput) {
  const difference = fitted.drift?.difference;
  if (granularity === 'position') {
    const positions = fitted.inputs.positionMeans?.rows ?? 0;
    if (difference === undefined) return new Float32Array(positions * quantized.rows);
    return positionOutputs(device, quantized, difference);
  }
  if (difference === undefined) return new Float64Array(quantized.rows);
  using product = device.scope(() =>
    device.matvec(device.cast(quantized, 'float32'), difference.mean),
  );
  return await product.readFloat64();
}

function gainOf(bias: Float64Array | Float32Array, { mean, positions }: Fit): number {
  let product = 0;
  bias.forEach((value, i) => {
    product += value * (mean[i] ?? 0);
  });
  return (2 * product - squares(bias)) / positions;
}
