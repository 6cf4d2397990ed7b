// What operations are told besides their operands.

import type { Activation, OperandType, Scoring, WeightLayout } from '../native.js';
import type { Tensor } from './tensor.js';

export interface MatmulOptions {
  /** [out] float32. */
  readonly bias?: Tensor | undefined;
  /** [n, out] float32, added after the activation. */
  readonly residual?: Tensor | undefined;
  /** Default 'none'. */
  readonly activation?: Activation;
  /** 'out_in' (default): weight [out, in]; 'in_out': weight [in, out]. */
  readonly layout?: WeightLayout;
  /** Of the result; default 'float32'. */
  readonly dtype?: OperandType | undefined;
}

export interface AttentionOptions {
  /** Tokens per sequence; rows are whole sequences. */
  readonly sequence: number;
  readonly heads: number;
  /** Default: as many as heads. */
  readonly keyValueHeads?: number;
  /** What query·key is multiplied by. */
  readonly scale: number;
  /** Cap of tanh soft-capping; 0 (default) for none. */
  readonly softcap?: number;
  /** Tokens a query sees including itself; 0 (default) for all. */
  readonly window?: number;
  /** Default true. */
  readonly causal?: boolean;
  /** [heads] float32. */
  readonly alibiSlopes?: Tensor | undefined;
  /** [windows·heads·sequence, sequence] float32 on scores: sequence i has that of window i mod windows. */
  readonly bias?: Tensor | undefined;
  /** [heads] float32: a score each, of no key, that takes its share of a softmax's sum. */
  readonly sinks?: Tensor | undefined;
  /** Of the result; default 'float32'. */
  readonly dtype?: OperandType | undefined;
}

/** Runs of as many experts each, of which the best are chosen first. */
export interface ExpertGroups {
  readonly count: number;
  readonly kept: number;
  /** A group is worth the sum of so many of its largest choice values, 1 or 2. */
  readonly best: number;
}

export interface ChooseExpertsOptions {
  /** Of experts that are chosen. */
  readonly count: number;
  readonly scoring: Scoring;
  /** [e] float32. */
  readonly bias?: Tensor | undefined;
  /** Absent where all experts are one group. */
  readonly groups?: ExpertGroups | undefined;
}

export interface ClampedSwigluOptions {
  readonly slope: number;
  readonly limit: number;
  /** Of the result; default 'float32'. */
  readonly dtype?: OperandType | undefined;
}

/** Two uniform quantizers that meet at a threshold; see TwinQuantizeParams. */
export interface TwinOptions {
  readonly threshold: number;
  readonly lowScale: number;
  readonly lowMin: number;
  readonly lowMax: number;
  readonly highScale: number;
  readonly highMax: number;
}
