// R of a damped second moment, which must give the matrix again, whatever the size, and R⁻¹, which must take it to the
// identity; damping grows when it has to; dead channels stand aside.

import { describe, expect, it } from 'vitest';
import type { Device } from '../../lib/device/index.js';
import {
  at,
  describeDevices,
  float32,
  normals,
  openDevice,
  productInstructionSets,
} from './harness.js';

/** XᵀX of random tokens, a few more than channels. */
function secondMoment(n: number): Float32Array {
  const tokens = n + 20;
  const x = normals(tokens * n, n);
  const matrix = new Float64Array(n * n);
  for (let t = 0; t < tokens; ++t) {
    for (let i = 0; i < n; ++i) {
      for (let j = 0; j < n; ++j) {
        matrix[i * n + j] = at(matrix, i * n + j) + at(x, t * n + i) * at(x, t * n + j);
      }
    }
  }
  return Float32Array.from(matrix);
}

async function factorize(
  device: Device,
  matrix: Float32Array,
  damping: number,
  { most = 1, inverse = false } = {},
) {
  const n = Math.sqrt(matrix.length);
  const tensor = float32(device, [n, n], matrix);
  const { factor, info } = device.factorize(tensor, damping, most, inverse);
  return { factor: await factor.readFloat32(), damping: at(await info.readFloat64(), 0) };
}

function damped(matrix: Float32Array, damping: number): Float64Array {
  const n = Math.sqrt(matrix.length);
  let trace = 0;
  for (let i = 0; i < n; ++i) trace += at(matrix, i * n + i);
  return Float64Array.from(matrix, (value, index) =>
    index % (n + 1) === 0 ? value + (damping * trace) / n : value,
  );
}

/** The largest element of U H Uᵀ − I; U upper triangular. */
function distanceFromIdentity(factor: Float32Array, matrix: Float64Array): number {
  const n = Math.sqrt(matrix.length);
  const product = new Float64Array(n * n);
  for (let i = 0; i < n; ++i) {
    for (let k = i; k < n; ++k) {
      const u = at(factor, i * n + k);
      for (let j = 0; j < n; ++j)
        product[i * n + j] = at(product, i * n + j) + u * at(matrix, k * n + j);
    }
  }
  let largest = 0;
  for (let i = 0; i < n; ++i) {
    for (let j = 0; j < n; ++j) {
      let sum = i === j ? -1 : 0;
      for (let k = j; k < n; ++k) sum += at(product, i * n + k) * at(factor, j * n + k);
      largest = Math.max(largest, Math.abs(sum));
    }
  }
  return largest;
}

/** The largest element of R Rᵀ − H beside the largest of H; R upper triangular. */
function distanceFromProduct(factor: Float32Array, matrix: Float64Array): number {
  const n = Math.sqrt(factor.length);
  let [largest, most] = [0, 0];
  for (let i = 0; i < n; ++i) {
    for (let j = i; j < n; ++j) {
      let sum = -at(matrix, i * n + j);
      for (let k = j; k < n; ++k) sum += at(factor, i * n + k) * at(factor, j * n + k);
      largest = Math.max(largest, Math.abs(sum));
      most = Math.max(most, at(matrix, i * n + j));
    }
  }
  return largest / most;
}

describeDevices('factorize', productInstructionSets, (instructionSet) => {
  describe.each([1, 5, 127, 128, 129, 300])('%i channels', (n) => {
    const matrix = secondMoment(n);

    it.each([
      ['gives the matrix again', false],
      ['takes the matrix to the identity', true],
    ])('%s', async (_, inverse) => {
      const device = openDevice(instructionSet, 1);
      const { factor, damping } = await factorize(device, matrix, 0.01, { inverse });
      expect(damping).toBe(0.01);
      const target = damped(matrix, damping);
      if (inverse) expect(distanceFromIdentity(factor, target)).toBeLessThan(2e-4);
      else expect(distanceFromProduct(factor, target)).toBeLessThan(1e-6);
      const below = factor.filter((_, index) => index % n < Math.floor(index / n));
      expect(below.every((value) => value === 0)).toBe(true);
      const other = openDevice(instructionSet, 3);
      expect((await factorize(other, matrix, 0.01, { inverse })).factor).toEqual(factor);
    });
  });

  it('raises the damping tenfold until the matrix is positive definite', async () => {
    // The least eigenvalue of ones·1.02 + I·(1 − 1.02) is −0.02: 0.01 is too little, 0.1 enough.
    const matrix = new Float32Array(50 * 50).fill(1.02);
    for (let i = 0; i < 50; ++i) matrix[i * 51] = 1;
    const { factor, damping } = await factorize(openDevice(instructionSet), matrix, 0.01);
    expect(damping).toBeCloseTo(0.1, 12);
    expect(distanceFromProduct(factor, damped(matrix, damping))).toBeLessThan(1e-6);
  });

  it('starts to damp where no damping was asked for', async () => {
    const matrix = new Float32Array(20 * 20).fill(1);
    const { damping } = await factorize(openDevice(instructionSet), matrix, 0);
    expect(damping).toBeGreaterThan(0);
    expect(damping).toBeLessThan(1e-3);
  });

  it('gives up with one sentence beyond the largest damping', async () => {
    const matrix = new Float32Array(50 * 50).fill(5);
    for (let i = 0; i < 50; ++i) matrix[i * 51] = 1;
    const device = openDevice(instructionSet);
    await expect(factorize(device, matrix, 0.01)).rejects.toMatchObject({
      code: 'ERR_NUMERIC',
      message: expect.stringContaining('larger damping'),
    });
  });

  it('refuses NaN', async () => {
    const matrix = secondMoment(40);
    matrix[3 * 40 + 7] = NaN;
    const device = openDevice(instructionSet);
    await expect(factorize(device, matrix, 0.01)).rejects.toMatchObject({ code: 'ERR_NUMERIC' });
  });

  it('sets dead channels aside', async () => {
    const n = 140;
    const dead = [0, 77, 139];
    const matrix = secondMoment(n);
    for (const i of dead) for (let j = 0; j < n; ++j) matrix[i * n + j] = matrix[j * n + i] = 0;
    let mean = 0;
    for (let i = 0; i < n; ++i) mean += at(matrix, i * (n + 1)) / (n - dead.length);
    const { factor } = await factorize(openDevice(instructionSet), matrix, 0.01);
    for (const i of dead) {
      const row = factor.subarray(i * n, (i + 1) * n);
      const column = Float32Array.from({ length: n }, (_, j) => at(factor, j * n + i));
      const alone = Float32Array.from({ length: n }, (_, j) => (j === i ? at(row, i) : 0));
      expect(row).toEqual(alone);
      expect(column).toEqual(alone);
      expect(at(row, i) ** 2 / (0.01 * mean)).toBeCloseTo(1, 5);
    }
  });
});
