// What a run tells while it works and what it leaves behind.

import type { Certificate } from '../compensation/index.js';
import type { DownloadEvent } from '../evaluate/index.js';
import type { ResolvedOptions } from './options/options.js';

/** One quantized linear. Errors are relative to the energy of its float output, tr(W G Wᵀ). */
export interface LayerReport extends Certificate {
  /** Full name, such as 'model.decoder.layers.0.self_attn.q_proj'. */
  readonly name: string;
  readonly block: number;
  /**
   * Of an expert that a router chooses, the calibration tokens that came to it. Without any it is rounded to nearest, and its
   * errors are those on inputs that vary by 1 in every channel.
   */
  readonly tokens?: number;
  /** The damping that the factorisation took, where the quantizer has one. */
  readonly damping?: number;
}

/** An output besides the linears' that was compensated: a block, or the norm that gives the final hidden states. */
export interface OutputReport extends Certificate {
  /** Full name, such as 'model.decoder.layers.0'. */
  readonly name: string;
}

export interface Seconds {
  readonly total: number;
  readonly load: number;
  readonly calibrate: number;
  readonly quantize: number;
  readonly compensate: number;
  readonly propagate: number;
  readonly write: number;
}

export type PhaseSeconds = Omit<Seconds, 'total'>;

/** Bytes resident in memory as a phase ended, the most of all blocks. */
export type PhaseMemory = PhaseSeconds;

/** The content of ballast.json. */
export interface RunReport {
  readonly ballast: string;
  readonly format: string;
  readonly model: string;
  readonly modelType: string;
  /** Identifies the source checkpoint's config and weights. */
  readonly fingerprint: string;
  readonly options: ResolvedOptions;
  readonly environment: {
    readonly node: string;
    readonly platform: string;
    readonly device: string;
  };
  /** Tokens that were fitted on, and tokens that judged. */
  readonly calibrationTokens: number;
  readonly heldOutTokens: number;
  readonly bitsPerWeight: number;
  /** Linears, by name inside the block, that got no bias since what loads the result would not read it. */
  readonly dropped: readonly string[];
  readonly layers: readonly LayerReport[];
  /** Compensated outputs besides the linears'; empty without the sites 'block' and 'model'. */
  readonly outputs: readonly OutputReport[];
  readonly seconds: Seconds;
  readonly memoryBytes: PhaseMemory;
  readonly peakMemoryBytes: number;
}

export type QuantizeEvent =
  | {
      readonly type: 'start';
      readonly model: string;
      readonly modelType: string;
      readonly blocks: number;
      readonly linears: number;
      /** Linears, by name inside the block, whose bias what loads the result would drop: they get none. */
      readonly dropped: readonly string[];
      /** What is fitted and nothing but `evaluate` reads in this format: quantized activations, biases per position. */
      readonly unread: readonly string[];
    }
  | DownloadEvent
  | { readonly type: 'calibration'; readonly samples: number; readonly tokens: number }
  | { readonly type: 'layer'; readonly layer: LayerReport }
  | {
      readonly type: 'block';
      readonly index: number;
      readonly blocks: number;
      readonly seconds: number;
      readonly phases: PhaseSeconds;
    }
  | { readonly type: 'done'; readonly output: string; readonly report: RunReport };
