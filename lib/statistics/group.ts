// All that is known of what one input group reads: the inputs that errors are measured on, the moment that the quantizer
// is to see where that is another path's, and the drift from the inputs that the target reads, where those are others.

import { allOrNothing } from '../all-or-nothing.js';
import type { Device, Tensor } from '../device/index.js';
import { type Drift, DriftSums } from './drift.js';
import { type Statistics, StatisticsSums } from './statistics.js';

export interface GroupNeeds {
  /** Moments besides means: whoever fits biases alone needs none. */
  readonly moments: boolean;
  /** Besides, a moment of other inputs for the quantizer. */
  readonly quantizerMoment: boolean;
  /** Besides, the drift. */
  readonly drift: boolean;
  readonly positions: boolean;
}

/** The same tokens as they are read in several places, [n, c] float32; those that the needs name. They may be none. */
interface GroupReads {
  /** x̂, what the quantized linears see. */
  readonly inputs: Tensor | undefined;
  /** x, what the target sees. */
  readonly reference?: Tensor | undefined;
  readonly quantizerInputs?: Tensor | undefined;
}

export class GroupStatistics implements Disposable {
  constructor(
    /** Of x̂, the inputs that errors are measured on. */
    readonly inputs: Statistics,
    /** What the quantizer's moment is taken from. */
    readonly quantizerInputs: Statistics,
    readonly drift: Drift | undefined,
  ) {}

  /** The same on another device, or in handles of their own. */
  copyTo(device: Device): Promise<GroupStatistics> {
    return allOrNothing(async (own) => {
      const inputs = await own(this.inputs.copyTo(device));
      const same = this.quantizerInputs === this.inputs;
      const quantizerInputs = same ? inputs : await own(this.quantizerInputs.copyTo(device));
      return new GroupStatistics(inputs, quantizerInputs, await this.drift?.copyTo(device, inputs));
    });
  }

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
  readonly #inputs: StatisticsSums;
  readonly #quantizerInputs: StatisticsSums | undefined;
  readonly #drift: DriftSums | undefined;

  constructor(device: Device, sequence: number, needs: GroupNeeds) {
    const own = { moment: needs.moments, positions: needs.positions };
    this.#inputs = new StatisticsSums(device, sequence, own);
    this.#quantizerInputs = needs.quantizerMoment
      ? new StatisticsSums(device, sequence, { moment: true, positions: false })
      : undefined;
    this.#drift = needs.drift ? new DriftSums(device, sequence, own) : undefined;
  }

  /** With moments, as far as they are needed, or without. Queued. */
  add({ inputs, reference, quantizerInputs }: GroupReads, withMoments = true): void {
    if (quantizerInputs !== undefined) this.#quantizerInputs?.add(quantizerInputs, withMoments);
    if (inputs === undefined) return;
    this.#inputs.add(inputs, withMoments);
    if (reference !== undefined) this.#drift?.add(reference, inputs, withMoments);
  }

  /** Adds what a group of the same needs has summed on another device, which may be nothing. */
  async merge(other: GroupSums): Promise<void> {
    await this.#inputs.merge(other.#inputs);
    if (other.#quantizerInputs) await this.#quantizerInputs?.merge(other.#quantizerInputs);
    if (other.#drift) await this.#drift?.merge(other.#drift);
  }

  finish(): Promise<GroupStatistics> {
    return allOrNothing(async (own) => {
      const inputs = await own(this.#inputs.finish());
      const quantizerInputs = (await own(this.#quantizerInputs?.finish())) ?? inputs;
      // Of tokens that are not known neither is how far they drifted.
      if (!inputs.isKnown) return new GroupStatistics(inputs, quantizerInputs, undefined);
      return new GroupStatistics(inputs, quantizerInputs, await this.#drift?.finish(inputs));
    });
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
