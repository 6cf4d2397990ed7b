// Memory beyond what a run needs, for what it can hold instead of computing it again: states inside a block, and statistics of
// more groups at once, which saves passes. Each device has some; what it comes to is settled when the run begins, so that no
// later allocation is in its way.

import { bytesPerElement } from '../../checkpoint/dtypes.js';
import type { Device, Tensor } from '../../device/index.js';

/** Of the memory that is free as a run begins, what it may fill as a whole: others use the host too. */
const usable = (device: Device) => (device.name === 'cpu' ? 1 / 2 : 7 / 8);

const bytesOf = ({ elements, dtype }: Tensor) => elements * bytesPerElement(dtype);

/** What one device has to spare. */
interface Spare {
  left: number;
  /** What shall stay free: others may have begun to take it too. */
  readonly reserve: number;
}

export class SpareMemory {
  readonly #spare: ReadonlyMap<Device, Spare>;

  private constructor(spare: ReadonlyMap<Device, Spare>) {
    this.#spare = spare;
  }

  /** `bytes` on each device; without, what is free but for `planned`. Devices that share the host share that. */
  static of(devices: readonly Device[], bytes: number | undefined, planned: number): SpareMemory {
    const onHost = devices.filter(({ name }) => name === 'cpu').length;
    const spareOn = (device: Device): Spare => {
      if (bytes !== undefined) return { left: bytes, reserve: 0 };
      const free = device.availableBytes;
      const sharing = device.name === 'cpu' ? onHost : 1;
      const used = usable(device) * free;
      return { left: used / sharing - planned, reserve: free - used };
    };
    return new SpareMemory(new Map(devices.map((device) => [device, spareOn(device)])));
  }

  /** What is left on every device. */
  get left(): number {
    return Math.max(0, Math.min(...Array.from(this.#spare.values(), ({ left }) => left)));
  }

  /** Counts so many bytes on every device until it is disposed. */
  claim(bytes: number): Disposable {
    const spare = [...this.#spare.values()];
    for (const device of spare) device.left -= bytes;
    return {
      [Symbol.dispose]: () => {
        for (const device of spare) device.left += bytes;
      },
    };
  }

  /** Counts a tensor, unless it is too large for what is left. */
  take(tensor: Tensor): boolean {
    const { device } = tensor;
    const spare = this.#spare.get(device);
    const bytes = bytesOf(tensor);
    if (spare === undefined || bytes > spare.left) return false;
    if (spare.reserve > 0 && device.availableBytes - bytes < spare.reserve) return false;
    spare.left -= bytes;
    return true;
  }

  /** Of a tensor that was taken. */
  give(tensor: Tensor): void {
    const spare = this.#spare.get(tensor.device);
    if (spare !== undefined) spare.left += bytesOf(tensor);
  }
}
