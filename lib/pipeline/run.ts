// What every part of a run shares.

import type { BlockQuantizers } from '../activations/index.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Device, Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import { type BlockLoader, disposeAll, type PerDevice } from '../execution/index.js';
import type { BlockContext, BlockModel, Config } from '../models/index.js';
import type { Quantizer } from '../quantizers/index.js';
import type { Clock } from './clock.js';
import type { LossGradients } from './grids/loss-gradients.js';
import type { SpareMemory } from './memory/spare-memory.js';
import type { ResolvedOptions } from './options/options.js';
import type { Sites } from './sites/sites.js';

/** A block's weights and activations as they were quantized before; see prepared-model.ts. */
export interface PreparedBlock {
  /** [out, in], by the linear's name inside the block; the caller disposes the handle. */
  weight(linear: string): Tensor;
  /** Undefined where activations stay float. */
  readonly activations: BlockQuantizers | undefined;
}

export interface Run {
  /** The model as the caller named it. */
  readonly source: string;
  /** Where results lie: the first of `devices`. */
  readonly device: Device;
  /** Each has its share of the mini-batches. */
  readonly devices: readonly Device[];
  readonly checkpoint: Checkpoint;
  readonly model: BlockModel;
  /** Of the checkpoint's blocks. */
  readonly loaders: PerDevice<BlockLoader>;
  /** config.json of the result; see `ExportInput`. */
  readonly config: Config;
  readonly quantizer: Quantizer;
  readonly options: ResolvedOptions;
  readonly sites: Sites;
  /** What was quantized before: only biases are fitted then. */
  readonly prepared?: PreparedBlock | undefined;
  /** Whether the quantized path's hidden states are wanted after the last block too. */
  readonly keepsStates: boolean;
  /** Of the first device. */
  readonly context: BlockContext;
  /** Mini-batches from this one on are held out from fitting. */
  readonly heldOutFrom: number;
  /** Memory for what passes over a block need not compute again. */
  readonly spare: SpareMemory;
  /** Of the first mini-batch, for searches that weigh errors by them. */
  readonly gradients: LossGradients;
  readonly clock: Clock;
  /** Throws ERR_ABORTED once the caller's signal has fired. */
  readonly throwIfAborted: () => void;
}

/**
 * The hidden states that enter a block, one tensor a mini-batch: on the float path, and on the quantized path where
 * blocks before it have already been quantized. `quantized` is `float` itself until the paths part.
 */
export class Paths implements Disposable {
  constructor(
    public float: Tensor[],
    public quantized: Tensor[] = float,
  ) {}

  get parted(): boolean {
    return this.float !== this.quantized;
  }

  /** Moves both paths on and releases what no path holds any more. An empty list ends a path. */
  advance(float: Tensor[], quantized: Tensor[]): void {
    const previous = new Set([...this.float, ...this.quantized]);
    this.float = float;
    this.quantized = quantized;
    for (const state of [...float, ...quantized]) previous.delete(state);
    disposeAll([...previous]);
  }

  [Symbol.dispose](): void {
    this.advance([], []);
  }
}

/** Gives an error of one layer that layer's name. */
export function named(layer: string, error: unknown): unknown {
  if (error instanceof BallastError && error.code !== 'ERR_ABORTED') {
    return new BallastError(error.code, `${layer}: ${error.message}`, { cause: error });
  }
  return error;
}

/** What `work` gives; an error of it gets the layer's name. */
export async function naming<T>(layer: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw named(layer, error);
  }
}
