// Work on several devices: all are filled before any is waited for, results keep the order of the mini-batches, and after
// an error nothing is left running or held.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { Device, type Tensor } from '../../lib/device/index.js';
import { BallastError } from '../../lib/errors.js';
import { mapBatches, onEach, PerDevice } from '../../lib/execution/index.js';

let devices: [Device, Device];
beforeAll(() => {
  devices = [Device.open('cpu', { threads: 1 }), Device.open('cpu', { threads: 1 })];
});
afterAll(() => {
  for (const device of devices) device.close();
});

const placesOf = (...numbers: (0 | 1)[]) => numbers.map((number) => devices[number]);
const scalar = (device: Device, value: number) =>
  device.upload('float32', [1], Float32Array.of(value));

it('gives what each mini-batch became, on its device', async () => {
  const order: string[] = [];
  const made = await mapBatches(placesOf(0, 0, 1, 0, 1), (batch, device) => {
    order.push(`${batch} on ${devices.indexOf(device)}`);
    const x = scalar(device, batch);
    return device.add(x, x);
  });
  // Both have begun before either has finished.
  expect(order.slice(0, 2)).toEqual(['0 on 0', '2 on 1']);
  expect(made.map(({ device }) => device)).toEqual(placesOf(0, 0, 1, 0, 1));
  const values = await Promise.all(made.map(async (x) => (await x.readFloat32())[0]));
  expect(values).toEqual([0, 2, 4, 6, 8]);
});

it('ends all at an error, which names the device, and disposes what was made', async () => {
  const made: Tensor[] = [];
  const failing = mapBatches(placesOf(0, 1, ...Array<0>(50).fill(0)), (batch, device) => {
    if (batch === 1) throw new BallastError('ERR_MEMORY', 'No memory is left.');
    const x = scalar(device, batch);
    made.push(x);
    return x;
  });
  await expect(failing).rejects.toMatchObject({
    code: 'ERR_MEMORY',
    message: 'cpu (device 2 of 2): No memory is left.',
  });
  // The other device ends with what it has queued.
  expect(made.length).toBeLessThan(50);
  expect(made.every(({ disposed }) => disposed)).toBe(true);
});

it('leaves an error on the only device, and an abort, as they are', async () => {
  const fail = (code: 'ERR_ABORTED' | 'ERR_IO') => () =>
    Promise.reject(new BallastError(code, 'It ended.'));
  await expect(onEach([devices[0]], fail('ERR_IO'))).rejects.toThrow(/^It ended\.$/);
  await expect(onEach(devices, fail('ERR_ABORTED'))).rejects.toThrow(/^It ended\.$/);
});

it('disposes what was loaded on others where one fails', async () => {
  let disposed = 0;
  const loading = PerDevice.load(devices, async (device) => {
    if (device === devices[0]) throw new BallastError('ERR_CHECKPOINT', 'The file is damaged.');
    await device.synchronize();
    return { [Symbol.dispose]: () => void disposed++ };
  });
  await expect(loading).rejects.toThrow('cpu (device 1 of 2): The file is damaged.');
  expect(disposed).toBe(1);
});
