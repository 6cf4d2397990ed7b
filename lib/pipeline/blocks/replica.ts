// A block on one device, as that device's mini-batches run through it: float, and quantized as far as it has been. Every
// device of a run has one; a linear is quantized on one of them, and what comes of it is copied to all.

import { BlockActivations, type BlockQuantizers } from '../../activations/index.js';
import type { Device, Tensor } from '../../device/index.js';
import {
  addPositionBias,
  blockRunner,
  copyLinear,
  executor,
  type LinearWeights,
  type LoadedBlock,
  linearOf,
  onEach,
  type PerDevice,
} from '../../execution/index.js';
import type { Attend, BlockContext } from '../../models/index.js';
import type { Run } from '../run.js';
import type { BlockRun, PathRunner } from './observe.js';
import { disposeLinear } from './quantize-linear.js';

export class Replica implements Disposable {
  /** On the float path. */
  readonly float: PathRunner;
  readonly #run: Run;
  readonly #index: number;
  readonly #context: BlockContext;
  /** What has been quantized so far, in handles of its own. */
  readonly #quantized = new Map<string, LinearWeights>();
  #activations: BlockActivations | undefined;
  #outputBias: Tensor | undefined;

  private constructor(
    run: Run,
    index: number,
    readonly device: Device,
    readonly block: LoadedBlock,
  ) {
    this.#run = run;
    this.#index = index;
    this.#context = { ...run.context, device };
    this.float = {
      run: this.runner(),
      linear: executor(device, (name) => this.weightsOf(name)),
      seen: (name, x) => this.#seen(name, x),
    };
  }

  static async load(run: Run, index: number, device: Device): Promise<Replica> {
    return new Replica(run, index, device, await run.loaders.of(device).load(index));
  }

  /** A linear as the checkpoint has it. */
  weightsOf(name: string): LinearWeights {
    return linearOf(this.block, name);
  }

  /** Runs mini-batches of this device, with attention of its own where it is given. */
  runner(attend?: Attend): BlockRun {
    const context = attend === undefined ? this.#context : { ...this.#context, attend };
    return blockRunner(this.#run.model, this.block.weights, context, this.#index);
  }

  /** Executes quantized linears where there are, float ones elsewhere, and quantizes activations where they are. */
  get quantized(): PathRunner {
    const { seen } = this.float;
    const find = (name: string) => this.#quantized.get(name) ?? this.weightsOf(name);
    return {
      run: this.runner(this.#activations?.attend),
      linear: executor(this.device, find, seen),
      seen,
    };
  }

  /** The output as the result has it, whose bias may be none of its linears'. */
  output(y: Tensor): Tensor {
    const bias = this.#outputBias;
    return bias === undefined ? y : addPositionBias(this.device, y, bias);
  }

  quantizeActivations(quantizers: BlockQuantizers | undefined): void {
    if (quantizers !== undefined) this.#activations = new BlockActivations(this.device, quantizers);
  }

  /** Executes a copy of this linear from here on. */
  async takeLinear(name: string, linear: LinearWeights): Promise<void> {
    const copy = await copyLinear(linear, this.device);
    const before = this.#quantized.get(name);
    if (before !== undefined) disposeLinear(before);
    this.#quantized.set(name, copy);
  }

  /** Adds a copy of this bias, [hiddenSize] or [sequence, hiddenSize], to outputs from here on. */
  async takeOutputBias(bias: Tensor): Promise<void> {
    this.#outputBias = await bias.copyTo(this.device);
  }

  [Symbol.dispose](): void {
    for (const linear of this.#quantized.values()) disposeLinear(linear);
    this.#activations?.[Symbol.dispose]();
    this.#outputBias?.dispose();
    this.block[Symbol.dispose]();
  }

  #seen(name: string, x: Tensor): Tensor {
    return this.#activations?.input(name, x) ?? x;
  }
}

/** Has every replica execute the linear. */
export async function shareLinear(
  { devices }: Run,
  replicas: PerDevice<Replica>,
  name: string,
  linear: LinearWeights,
): Promise<void> {
  await onEach(devices, (device) => replicas.of(device).takeLinear(name, linear));
}
