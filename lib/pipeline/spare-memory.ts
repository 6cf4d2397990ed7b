// Memory beyond what a run needs, for what it can hold instead of computing it again. Each device has some; what it comes to
// is settled when the run begins, so that no later allocation is in its way.

import type { Device, Tensor } from '../device/index.js';

/** Of the memory that is free as a run begins, what it may fill as a whole: others use the host too. */
const usable = (device: Device) => (device.name === 'cpu' ? 1 / 2 : 7 / 8);

const float32 = 4;

export class SpareMemory {
  readonly #left: Map<Device, number>;

  private constructor(left: Map<Device, number>) {
    this.#left = left;
  }

  /** `bytes` on each device; without, what is free but for `planned`. Devices that share the host share that. */
  static of(devices: readonly Device[], bytes: number | undefined, planned: number): SpareMemory {
    const onHost = devices.filter(({ name }) => name === 'cpu').length;
    const spareOn = (device: Device) => {
      const sharing = device.name === 'cpu' ? onHost : 1;
      return (usable(device) * device.availableBytes) / sharing - planned;
    };
    return new SpareMemory(new Map(devices.map((device) => [device, bytes ?? spareOn(device)])));
  }

  /** Counts a tensor of float32, unless it is too large for what is left. */
  take(tensor: Tensor): boolean {
    const left = this.#leftOn(tensor) - tensor.elements * float32;
    if (left < 0) return false;
    this.#left.set(tensor.device, left);
    return true;
  }

  /** Of a tensor that was taken. */
  give(tensor: Tensor): void {
    this.#left.set(tensor.device, this.#leftOn(tensor) + tensor.elements * float32);
  }

  #leftOn({ device }: Tensor): number {
    return this.#left.get(device) ?? 0;
  }
}
