// What JavaScript's garbage collector is told of tensors: the host's memory, so that those which nobody disposed go before it
// is short, and not a GPU's, for which it would stop everything again and again.

import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { describeDevices, openDevice } from './harness.js';

const { NODE_PERFORMANCE_GC_MAJOR: major, NODE_PERFORMANCE_GC_INCREMENTAL: incremental } =
  constants;

type Collection = PerformanceEntry & { readonly detail: { readonly kind: number } };

/** How often all of the heap was looked through meanwhile. */
async function collections(body: () => void): Promise<number> {
  let count = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind } = (entry as Collection).detail;
      if (kind === major || kind === incremental) count++;
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  body();
  await setImmediate();
  await setImmediate();
  observer.disconnect();
  return count;
}

describeDevices('garbage collection', ['generic'], (kind) => {
  it('heeds the host’s memory alone', async () => {
    const device = openDevice(kind);
    onTestFinished(() => device.close());
    const [rows, columns] = [4096, 4096];
    const tensor = device.zeros('float32', [rows, columns]);
    const count = await collections(() => {
      for (let round = 0; round < 20; round++) {
        const views = Array.from({ length: 40 }, () => device.reshape(tensor, [columns, rows]));
        for (const view of views) view.dispose();
      }
    });
    // Another for other reasons may happen at any time.
    if (kind.startsWith('cuda')) expect(count).toBeLessThan(5);
    else expect(count).toBeGreaterThan(10);
  });
});
