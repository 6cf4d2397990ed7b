// Work on several devices of one host at once. Each has a queue of its own that works while others are filled, so
// nothing but waiting has to be shared: what is begun on all is waited for on all, whatever fails, and nothing is under
// way any more when an error is thrown. One device is the list of length 1.

import type { Device } from '../device/index.js';
import { BallastError } from '../errors.js';

/**
 * Runs `body` on every device at the same time; results in the devices' order. Long work asks `hasFailed` now and then,
 * and ends where another device has. Errors: the first, with its device's name where there are several; what others
 * made is disposed.
 */
export async function onEach<Result>(
  devices: readonly Device[],
  body: (device: Device, hasFailed: () => boolean) => Promise<Result>,
): Promise<Result[]> {
  const failures: unknown[] = [];
  const hasFailed = () => failures.length > 0;
  const settled = await Promise.all(
    devices.map(async (device, place) => {
      try {
        return [await body(device, hasFailed)];
      } catch (error) {
        failures.push(onDevice(devices, place, error));
        return [];
      }
    }),
  );
  const results = settled.flat() as Result[];
  if (!hasFailed()) return results;
  disposeEach(results);
  throw failures[0];
}

/**
 * What devices make of their items, given one device an item, all at the same time. `work` goes through one device's items
 * in order, which end where another device has failed, and puts into `results` what it makes of each. Results in the items'
 * order. Errors as `onEach`; what was made is then disposed.
 */
export async function onItems<Result>(
  places: readonly Device[],
  work: (device: Device, items: Iterable<number>, results: Result[]) => Promise<void>,
): Promise<Result[]> {
  const results: Result[] = [];
  function* itemsOf(device: Device, hasFailed: () => boolean) {
    for (const [item, place] of places.entries()) {
      if (place !== device) continue;
      if (hasFailed()) return;
      yield item;
    }
  }
  try {
    await onEach([...new Set(places)], (device, hasFailed) =>
      work(device, itemsOf(device, hasFailed), results),
    );
  } catch (error) {
    disposeEach(results);
    throw error;
  }
  return results;
}

/** What `body` makes of each item on its device, one after the other; otherwise as `onItems`. */
export function onPlaces<Result>(
  places: readonly Device[],
  body: (item: number, device: Device) => Promise<Result>,
): Promise<Result[]> {
  return onItems<Result>(places, async (device, items, results) => {
    for (const item of items) results[item] = await body(item, device);
  });
}

/** The device of each item, such as a mini-batch: dealt in turn, from the first device on. */
export function dealt(devices: readonly Device[], items: readonly unknown[]): Device[] {
  return items.map((_, i) => devices[i % devices.length] as Device);
}

/** What is not disposable is left alone. */
export function disposeEach(items: readonly unknown[]): void {
  for (const item of items) (item as Partial<Disposable> | undefined)?.[Symbol.dispose]?.();
}

/** Gives an error the name of the device it came from, where that is not the only one. */
function onDevice(devices: readonly Device[], place: number, error: unknown): unknown {
  if (devices.length === 1 || !(error instanceof BallastError)) return error;
  if (error.code === 'ERR_ABORTED') return error;
  const name = `${devices[place]?.name} (device ${place + 1} of ${devices.length})`;
  return new BallastError(error.code, `${name}: ${error.message}`, { cause: error });
}

/** One thing of a kind for each device; disposed together. */
export class PerDevice<Item> implements Disposable {
  readonly #items: ReadonlyMap<Device, Item>;

  private constructor(devices: readonly Device[], items: readonly Item[]) {
    this.#items = new Map(devices.map((device, i) => [device, items[i] as Item]));
  }

  static make<Item>(devices: readonly Device[], make: (device: Device) => Item): PerDevice<Item> {
    return new PerDevice(devices, devices.map(make));
  }

  /** Made on all devices at the same time; errors as `onEach`. */
  static async load<Item>(devices: readonly Device[], make: (device: Device) => Promise<Item>) {
    return new PerDevice(devices, await onEach(devices, make));
  }

  get devices(): readonly Device[] {
    return [...this.#items.keys()];
  }

  of(device: Device): Item {
    const item = this.#items.get(device);
    if (item === undefined) throw new RangeError(`Nothing on the device ${device.name}.`);
    return item;
  }

  /** In the devices' order. */
  get all(): readonly Item[] {
    return [...this.#items.values()];
  }

  /** Of the first device. */
  get first(): Item {
    const [first] = this.#items.values();
    if (first === undefined) throw new RangeError('A list of no devices.');
    return first;
  }

  [Symbol.dispose](): void {
    disposeEach(this.all);
  }
}
