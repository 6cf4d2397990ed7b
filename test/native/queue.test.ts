// What waits for a device's queue is told: an error reaches everybody who waits for work that it stopped, nobody who waits
// for work before it, and what is queued afterwards runs again.

import { expect, it } from 'vitest';
import { Device, type Tensor } from '../../lib/device/index.js';
import { float32, int32 } from './harness.js';

/** How each of these waits ends. */
async function endsOf(waits: readonly Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(waits);
  return settled.map((wait) => (wait.status === 'fulfilled' ? 'done' : wait.reason.code));
}

/** Queues what fails only when its turn comes. */
function failing(device: Device): Tensor {
  return device.embedding(int32(device, [9]), float32(device, [2, 4], new Float32Array(8)));
}

it('tells an error to all who wait for what it stopped, and to no others', async () => {
  const device = Device.open('cpu', { threads: 1 });
  // Again and again: the waits end in any order.
  for (let round = 0; round < 50; round++) {
    const one = float32(device, [1], Float32Array.of(round));
    const before = [one.readFloat32(), device.synchronize()];
    const broken = failing(device);
    const behind = [broken.read(), device.add(one, one).read(), device.synchronize(), one.read()];
    expect(await endsOf([...before, ...behind])).toEqual([
      'done',
      'done',
      ...behind.map(() => 'ERR_SHAPE'),
    ]);
    expect([...(await device.add(one, one).readFloat32())]).toEqual([2 * round]);
  }
  device.close();
});

it('tells an abort to all who wait, and is usable again', async () => {
  const device = Device.open('cpu', { threads: 1 });
  const x = float32(device, [256, 256], new Float32Array(256 * 256));
  await device.synchronize();
  for (let round = 0; round < 10; round++) {
    // Longer than it takes to say that it shall stop.
    const products = Array.from({ length: 100 }, () => device.matmul(x, x));
    const waits = products.map((product) => product.read());
    device.cancel();
    const ends = await endsOf(waits);
    expect(new Set(ends.slice(ends.indexOf('ERR_ABORTED')))).toEqual(new Set(['ERR_ABORTED']));
    expect(ends.at(-1)).toBe('ERR_ABORTED');
    for (const product of products) product.dispose();
    expect((await x.readFloat32())[0]).toBe(0);
  }
  device.close();
});
