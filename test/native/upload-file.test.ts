// Tensors of a file's bytes: there for whoever uses them, however early they were asked for, in whatever order they are
// used, and whether they are used at all. A GPU copies them beside its queue.

import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Device, Tensor } from '../../lib/device/index.js';
import { describeDevices, expectClose, float32, normals, openDevice } from './harness.js';

describeDevices('uploadFile', ['generic'], (name) => {
  const size = 1000;
  const values = normals(8 * size);
  let folder: string;
  let path: string;
  let device: Device;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ballast-upload-'));
    path = join(folder, 'values');
    // One byte in front: no element lies where it could be loaded from.
    await writeFile(path, Buffer.concat([Buffer.of(0), Buffer.from(values.buffer)]));
    device = openDevice(name);
  });
  afterAll(async () => {
    device.close();
    await rm(folder, { recursive: true, force: true });
  });

  const part = (i: number) => device.uploadFile('float32', [10, size / 10], path, 1 + 4 * i * size);
  const partOf = (i: number) => values.subarray(i * size, (i + 1) * size);

  it('is there for operations that were queued at once, in any order', async () => {
    const parts = Array.from({ length: 8 }, (_, i) => part(i));
    for (const i of [7, 0, 3, 4, 1, 6, 2, 5]) {
      const tensor = parts[i] as Tensor;
      using doubled = device.add(tensor, tensor);
      expectClose(
        await doubled.readFloat32(),
        partOf(i).map((value) => 2 * value),
        0,
      );
    }
    for (const tensor of parts) tensor.dispose();
  });

  it('is there after work that was queued between', async () => {
    using early = part(1);
    using x = float32(device, [size], partOf(0));
    await device.synchronize();
    using row = device.add(device.reshape(early, [size]), x);
    expectClose(
      await row.readFloat32(),
      partOf(0).map((value, i) => value + (partOf(1)[i] ?? 0)),
      1e-6,
    );
    // Read, and written: a sum goes on from the file's bytes.
    const sums = new Float64Array(4).fill(3);
    await writeFile(join(folder, 'sums'), Buffer.from(sums.buffer));
    using sum = device.uploadFile('float64', [4], join(folder, 'sums'), 0);
    using own = device.scope(() => device.reshape(sum, [4]));
    expect([...(await own.readFloat64())]).toEqual([3, 3, 3, 3]);
  });

  it('may be dropped before it is used', async () => {
    for (let round = 0; round < 20; round++) {
      const dropped = Array.from({ length: 8 }, (_, i) => part(i));
      // Half of the times their copies are already under way.
      if (round % 2 === 1) await setTimeout(2);
      for (const tensor of dropped) tensor.dispose();
      using kept = part(round % 8);
      expectClose(await kept.readFloat32(), partOf(round % 8), 0);
    }
  });

  it('brings more than passes through the buffers at once', async () => {
    const rows = 11_000;
    const bytes = Buffer.alloc(rows * 4096);
    for (let row = 0; row < rows; row++) bytes.writeFloatLE(row, row * 4096);
    await writeFile(join(folder, 'large'), bytes);
    using large = device.uploadFile('float32', [rows, 1024], join(folder, 'large'), 0);
    using ids = device.upload('int32', [4], Int32Array.of(10_999, 0, 4095, 8192));
    using chosen = device.selectRows(large, ids);
    const heads = (await chosen.readFloat32()).filter((_, i) => i % 1024 === 0);
    expect([...heads]).toEqual([10_999, 0, 4095, 8192]);
  });

  it('is there where memory is free by the time that it is used', async () => {
    // Two of them are more than the emulated GPU has.
    const rows = 40_000;
    const sparse = join(folder, 'sparse');
    await writeFile(sparse, '');
    await truncate(sparse, rows * 4096);
    const upload = () => device.uploadFile('float32', [rows, 1024], sparse, 0);
    const first = upload();
    using last = upload();
    using ids = device.upload('int32', [1], Int32Array.of(rows - 1));
    using one = device.selectRows(first, ids);
    await one.read();
    first.dispose();
    using other = device.selectRows(last, ids);
    expect(await other.readFloat32()).toEqual(new Float32Array(1024));
  });

  it('refuses a file that is too short, at once', () => {
    expect(() => part(8)).toThrow(expect.objectContaining({ code: 'ERR_IO' }));
  });
});
