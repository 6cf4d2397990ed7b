// Layer norm and RMS norm against float64 loops, also on rows whose mean dwarfs their spread.

import { expect, it } from 'vitest';
import {
  at,
  describeDevices,
  expectClose,
  float32,
  instructionSets,
  normals,
  openDevice,
} from './harness.js';

const rows = 5;

function normalize(x: Float32Array, n: number, eps: number, centre: boolean): Float64Array {
  const out = new Float64Array(x.length);
  for (let row = 0; row < x.length / n; ++row) {
    const values = x.subarray(row * n, (row + 1) * n);
    const mean = centre ? values.reduce((sum, v) => sum + v, 0) / n : 0;
    const squares = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / n;
    values.forEach((v, i) => {
      out[row * n + i] = (v - mean) / Math.sqrt(squares + eps);
    });
  }
  return out;
}

describeDevices('normalization', instructionSets, (instructionSet) => {
  const device = openDevice(instructionSet);

  it.each([1, 7, 16, 33, 257, 768, 1030, 8200])('layer norm of %i channels', async (n) => {
    const x = normals(rows * n, 2, 1, 100);
    const [weight, bias] = [normals(n, 3), normals(n, 4)];
    const expected = normalize(x, n, 1e-5, true).map(
      (v, i) => v * at(weight, i % n) + at(bias, i % n),
    );
    const out = device.layerNorm(
      float32(device, [rows, n], x),
      float32(device, [n], weight),
      float32(device, [n], bias),
      1e-5,
    );
    expectClose(await out.readFloat32(), expected, 3e-6);
  });

  it('layer norm without weight and bias', async () => {
    const x = normals(rows * 20, 5);
    const out = device.layerNorm(float32(device, [rows, 20], x), undefined, undefined, 1e-3);
    expectClose(await out.readFloat32(), normalize(x, 20, 1e-3, true), 1e-6);
  });

  it.each([1, 16, 100, 704, 1028])('RMS norm of %i channels, weight offset 1', async (n) => {
    const x = normals(rows * n, 6, 3);
    const weight = normals(n, 7);
    const expected = normalize(x, n, 1e-6, false).map((v, i) => v * (at(weight, i % n) + 1));
    const out = device.rmsNorm(
      float32(device, [rows, n], x),
      float32(device, [n], weight),
      1e-6,
      1,
    );
    expectClose(await out.readFloat32(), expected, 3e-6);
  });

  it('RMS norm per head: the weight repeats along a row', async () => {
    const x = normals(rows * 32, 8);
    const weight = normals(8, 9);
    const out = device.rmsNorm(float32(device, [rows, 32], x), float32(device, [8], weight), 1e-6);
    const expected = normalize(x, 8, 1e-6, false).map((v, i) => v * at(weight, i % 8));
    expectClose(await out.readFloat32(), expected, 2e-6);
    expect(out.shape).toEqual([rows, 32]);
  });
});
