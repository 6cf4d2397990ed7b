// Tensors on their way from one device to another: the same bytes, errors of the queue they come from, and order kept.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Device } from '../../lib/device/index.js';
import { describeDevices, float32, gpus, normals, openDevice } from './harness.js';

describeDevices('copyTo', ['generic'], (name) => {
  let from: Device;
  let to: Device;
  beforeAll(() => {
    from = openDevice(name);
    to = Device.open('cpu', { threads: 1 });
  });
  afterAll(() => {
    from.close();
    to.close();
  });

  it('brings what is still being computed, there and back', async () => {
    const values = normals(300 * 70);
    using x = float32(from, [300, 70], values);
    using doubled = from.add(x, x);
    using there = await doubled.copyTo(to);
    expect([there.device, there.dtype, there.shape]).toEqual([to, 'float32', [300, 70]]);
    using again = to.add(there, there);
    using back = await again.copyTo(from);
    expect(await back.readFloat32()).toEqual(values.map((value) => 4 * value));
  });

  it('keeps dtypes and parts of tensors', async () => {
    using codes = from.upload(
      'uint8',
      [4, 3],
      Uint8Array.from({ length: 12 }, (_, i) => i),
    );
    using rows = from.sliceRows(codes, 1, 3);
    using there = await rows.copyTo(to);
    expect([...(await there.readUint8())]).toEqual([3, 4, 5, 6, 7, 8]);
  });

  it('is another handle on the device where it lies', async () => {
    const x = float32(from, [2], [1, 2]);
    using same = await x.copyTo(from);
    x.dispose();
    expect([...(await same.readFloat32())]).toEqual([1, 2]);
  });

  it('rejects with the error of the queue it comes from, and leaves the other usable', async () => {
    using ids = from.upload('int32', [1], Int32Array.of(9));
    using table = float32(from, [2, 2], [1, 2, 3, 4]);
    using wrong = from.embedding(ids, table);
    await expect(wrong.copyTo(to)).rejects.toMatchObject({ name: 'BallastError' });
    using x = float32(to, [1], [5]);
    expect([...(await x.readFloat32())]).toEqual([5]);
  });
});

const pair = gpus.slice(0, 2);
describe.skipIf(pair.length < 2)(`copyTo from GPU to GPU (${pair})`, () => {
  const open = () => pair.map((name) => openDevice(name)) as [Device, Device];

  it('brings what is still being computed, while both go on', async () => {
    const [from, to] = open();
    const values = normals(40 * 50);
    using x = float32(from, [40, 50], values);
    using y = float32(to, [40, 50], values);
    for (let round = 0; round < 5; round++) {
      const sum = from.add(x, x);
      const copying = sum.copyTo(to);
      sum.dispose();
      // Memory that is free again is written at once.
      from.add(x, x).dispose();
      to.add(y, y).dispose();
      using there = await copying;
      using total = to.add(there, y);
      expect(await total.readFloat32()).toEqual(values.map((value) => 2 * value + value));
    }
    from.close();
    to.close();
  });

  it('leaves a copy that outlives the device it came from, and one that nobody uses', async () => {
    const [from, to] = open();
    const x = float32(from, [3], [1, 2, 3]);
    using there = await x.copyTo(to);
    (await x.copyTo(to)).dispose();
    x.dispose();
    from.close();
    expect([...(await there.readFloat32())]).toEqual([1, 2, 3]);
    to.close();
  });
});
