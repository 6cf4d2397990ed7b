// Linears as they are executed: a bias per position is added between the product and the activation, and the result has
// the dtype that it was asked for, with or without such a bias.

import { expect, it } from 'vitest';
import { Device } from '../../lib/device/index.js';
import { executor } from '../../lib/execution/index.js';
import { float32, normals } from '../native/harness.js';

const [sequence, inChannels, outChannels] = [3, 8, 4];
const options = { activation: 'relu' } as const;

it.each([false, true])('gives what was asked for, position bias: %s', async (perPosition) => {
  const device = Device.open('cpu', { threads: 1 });
  const weight = float32(device, [outChannels, inChannels], normals(32, 1));
  const bias = float32(device, [outChannels], normals(4, 2));
  const positionBias = float32(device, [sequence, outChannels], normals(12, 3));
  const call = executor(device, () =>
    perPosition ? { weight, bias, positionBias } : { weight, bias },
  );
  const x = float32(device, [2 * sequence, inChannels], normals(48, 4));
  const wide = call('fc1', x, options);
  const rounded = call('fc1', x, { ...options, dtype: 'bfloat16' });
  expect([wide.dtype, rounded.dtype]).toEqual(['float32', 'bfloat16']);
  expect(await device.cast(rounded, 'float32').readFloat32()).toEqual(
    await device.cast(device.cast(wide, 'bfloat16'), 'float32').readFloat32(),
  );
  const [values, products] = [
    await wide.readFloat32(),
    await device.matmul(x, weight, { bias }).readFloat32(),
  ];
  const added = await positionBias.readFloat32();
  for (const [i, value] of values.entries()) {
    const own = perPosition ? (added[i % added.length] ?? 0) : 0;
    expect(value).toBeCloseTo(Math.max(0, (products[i] ?? 0) + own), 5);
  }
  device.close();
});
