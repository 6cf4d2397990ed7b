// All that is known of what one input group reads: its inputs on the path that errors are measured on, the
// moment that the quantizer is to see where that is another path's, and the drift between the paths where the
// float path's outputs are the target.

import type { Device, Tensor } from '../device/index.js';
import { type Drift, DriftSums } from './drift.js';
import { type Statistics, StatisticsSums } from './statistics.js';

export interface GroupNeeds {
  /** The path whose inputs errors and biases are measured on. */
  readonly path: 'float' | 'quantized';
  /** Besides, the quantized path's moment for the quantizer. */
  readonly quantizerMoment: boolean;
  /** Besides, the drift between the paths. */
  readonly drift: boolean;
  readonly positions: boolean;
}

export class GroupStatistics implements Disposable {
  constructor(
    /** Of x̂, the inputs that errors are measured on; holds a moment. */
    readonly inputs: Statistics,
    /** What the quantizer's moment is taken from. */
    readonly quantizerInputs: Statistics,
    readonly drift: Drift | undefined,
  ) {}

  dispose(): void {
    this.inputs.dispose();
    this.quantizerInputs.dispose();
    this.drift?.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

export class GroupSums implements Disposable {
  readonly #needs: GroupNeeds;
  readonly #inputs: StatisticsSums;
  readonly #quantizerInputs: StatisticsSums | undefined;
  readonly #drift: DriftSums | undefined;

  constructor(device: Device, sequence: number, needs: GroupNeeds) {
    const { positions } = needs;
    this.#needs = needs;
    this.#inputs = new StatisticsSums(device, sequence, { moment: true, positions });
    this.#quantizerInputs = needs.quantizerMoment
      ? new StatisticsSums(device, sequence, { moment: true, positions: false })
      : undefined;
    this.#drift = needs.drift ? new DriftSums(device, sequence, positions) : undefined;
  }

  /** Adds what both paths (those that the needs name) read of the same tokens, [n, c] float32. Queued. */
  add(float: Tensor | undefined, quantized: Tensor | undefined): void {
    const inputs = this.#needs.path === 'float' ? float : quantized;
    if (inputs !== undefined) this.#inputs.add(inputs);
    if (quantized === undefined) return;
    this.#quantizerInputs?.add(quantized);
    if (float !== undefined) this.#drift?.add(float, quantized);
  }

  async finish(): Promise<GroupStatistics> {
    const inputs = await this.#inputs.finish();
    const quantizerInputs = (await this.#quantizerInputs?.finish()) ?? inputs;
    return new GroupStatistics(inputs, quantizerInputs, await this.#drift?.finish(inputs));
  }

  dispose(): void {
    this.#inputs.dispose();
    this.#quantizerInputs?.dispose();
    this.#drift?.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
