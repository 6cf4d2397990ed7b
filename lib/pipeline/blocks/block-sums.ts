// What one device sums of a block's mini-batches: a sum for each input group, with what belongs in it. Sums of several
// devices add up on the first, in the devices' order, so that a run gives the same digits again.

import type { Device } from '../../device/index.js';
import { PerDevice } from '../../execution/index.js';
import { type GroupStatistics, GroupSums } from '../../statistics/index.js';
import type { GroupPlan } from './needs.js';

/** By the group's first linear. */
type GroupPlans = ReadonlyMap<string, GroupPlan>;

export class BlockSums implements Disposable {
  readonly #sums: ReadonlyMap<string, GroupSums>;

  private constructor(
    device: Device,
    readonly plans: GroupPlans,
    sequence: number,
  ) {
    const sumsOf = (plan: GroupPlan) => new GroupSums(device, sequence, plan);
    this.#sums = new Map(Array.from(plans, ([leader, plan]) => [leader, sumsOf(plan)] as const));
  }

  static on(devices: readonly Device[], plans: GroupPlans, sequence: number): PerDevice<BlockSums> {
    return PerDevice.make(devices, (device) => new BlockSums(device, plans, sequence));
  }

  of(leader: string): GroupSums {
    const sums = this.#sums.get(leader);
    if (sums === undefined) throw new RangeError(`No sums of ${leader}.`);
    return sums;
  }

  [Symbol.dispose](): void {
    for (const sums of this.#sums.values()) sums.dispose();
  }
}

/** Of all devices together; their sums are released. */
export async function totalOf(
  sums: PerDevice<BlockSums>,
  leader: string,
): Promise<GroupStatistics> {
  const total = sums.first.of(leader);
  for (const other of sums.all.slice(1)) {
    await total.merge(other.of(leader));
    other.of(leader).dispose();
  }
  return total.finish();
}
