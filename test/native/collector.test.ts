// What JavaScript's garbage collector is told of tensors: the host's memory, which they keep until they are disposed, and not
// a GPU's, which would have it stop everything again and again.

import { expect, it, onTestFinished } from 'vitest';
import { describeDevices, openDevice } from './harness.js';

describeDevices('memory outside the heap', ['generic'], (kind) => {
  it('is what tensors hold of the host’s', async () => {
    const device = openDevice(kind);
    onTestFinished(() => device.close());
    const [rows, columns] = [1024, 1024];
    const before = process.memoryUsage().external;
    const tensor = device.zeros('float32', [rows, columns]);
    const held = process.memoryUsage().external - before;
    // Others may come and go meanwhile.
    const expected = kind.startsWith('cuda') ? 0 : 4 * rows * columns;
    expect(Math.abs(held - expected)).toBeLessThan(rows * columns);
    tensor.dispose();
    expect(Math.abs(process.memoryUsage().external - before)).toBeLessThan(rows * columns);
    await device.synchronize();
  });
});
