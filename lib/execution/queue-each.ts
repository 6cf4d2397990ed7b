// Keeps a device's queue filled. Whoever waits for a mini-batch before it queues the next leaves the device idle for some
// tenths of a millisecond, the way of the news to the event loop and back, which is as long as small blocks take. So what
// is waited for is always the mini-batches before those that have just been queued. Memory follows execution, however many
// wait.

import type { Device } from '../device/index.js';

/** Items that are queued between two waits: on a GPU some take no longer than a wait does. */
export const queuedTogether = ({ name }: Device) => (name === 'cpu' ? 1 : 4);

/**
 * Calls `enqueue` for each item in order; resolves when the device has done them all. Errors: the first of `enqueue` and
 * of the queue; nothing is under way any more then.
 */
export async function queueEach<Item>(
  device: Device,
  items: Iterable<Item>,
  enqueue: (item: Item) => void,
): Promise<void> {
  let before = Promise.resolve();
  let queued = 0;
  try {
    for (const item of items) {
      enqueue(item);
      queued += 1;
      if (queued % queuedTogether(device) !== 0) continue;
      await before;
      before = device.synchronize();
    }
    await before;
    await device.synchronize();
  } catch (error) {
    await Promise.allSettled([before, device.synchronize()]);
    throw error;
  }
}
