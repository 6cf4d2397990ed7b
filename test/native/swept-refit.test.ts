// The best scale of each row for the codes of a GPTQ sweep, found from what the sweep knows: the error that it leaves, in
// float64, against that of the best scale.

import { expect, it } from 'vitest';
import type { Tensor } from '../../lib/device/index.js';
import {
  algebraKinds,
  at,
  commonMoment,
  dampedForm,
  describeDevices,
  float32,
  normals,
  openDevice,
  plainGrid,
  toBfloat16,
} from './harness.js';

describeDevices('refit of swept scales', algebraKinds, (kind) => {
  const device = openDevice(kind);
  const damping = 0.01;

  async function swept(rows: number, columns: number, matrix: Float32Array) {
    const weight = normals(rows * columns, 1, 0.1);
    const { factor } = device.factorize(float32(device, [columns, columns], matrix), damping, 1);
    const found = device.gptq(float32(device, [rows, columns], weight), factor, {
      ...plainGrid,
      bits: 3,
    });
    const [codes, zeros, before] = [
      await found.codes.readUint8(),
      await found.zeros.readFloat32(),
      await found.scales.readFloat32(),
    ];
    const part = (o: number, value: (i: number) => number) =>
      Float64Array.from({ length: columns }, (_, j) => value(o * columns + j));
    const weightOf = (o: number) => part(o, (i) => at(weight, i));
    const unitsOf = (o: number) => part(o, (i) => at(codes, i) - at(zeros, o));
    return { factor, found, before, weightOf, unitsOf };
  }

  it.each([
    [1, 1, []],
    [5, 40, []],
    [33, 130, [0, 77]],
    [3, 600, []],
    [2, 1050, [1049]],
  ])('%i rows of %i columns, %o of them dead', async (rows, columns, dead) => {
    const matrix = commonMoment(columns, dead);
    const { factor, found, before, weightOf, unitsOf } = await swept(rows, columns, matrix);
    const scales = await device.refitSwept(factor, found, 'float32').readFloat32();
    for (let o = 0; o < rows; ++o) {
      const [w, u] = [weightOf(o), unitsOf(o)];
      const [uu, uw] = [dampedForm(matrix, damping, u, u), dampedForm(matrix, damping, u, w)];
      if (uu === 0) continue;
      const best = Math.min(Math.max(uw / uu, at(before, o) / 2), at(before, o) * 2);
      const ww = dampedForm(matrix, damping, w, w);
      const errorAt = (s: number) => ww - 2 * s * uw + s * s * uu;
      // Of a single column nothing is left.
      const scale = Math.max(errorAt(best), 1e-9 * ww);
      expect(errorAt(at(scales, o)) - errorAt(best)).toBeLessThan(1e-6 * scale);
      expect(errorAt(at(scales, o))).toBeLessThanOrEqual(errorAt(at(before, o)) + 1e-6 * scale);
    }
    expect(columns === 1 || scales.some((scale, o) => scale !== at(before, o))).toBe(true);
  });

  it('errors are those of the weights, whitened', async () => {
    const [rows, columns] = [7, 150];
    const matrix = commonMoment(columns);
    const { found, before, weightOf, unitsOf } = await swept(rows, columns, matrix);
    const errors = await found.errors.readFloat32();
    for (let o = 0; o < rows; ++o) {
      const units = unitsOf(o);
      const delta = weightOf(o).map((w, j) => w - at(before, o) * at(units, j));
      const own = errors.subarray(o * columns, (o + 1) * columns);
      const energy = own.reduce((sum, e) => sum + e * e, 0);
      expect(energy / dampedForm(matrix, damping, delta, delta)).toBeCloseTo(1, 4);
    }
  });

  it('no number of threads changes a digit, and what has moved is rounded to its dtype', async () => {
    const [rows, columns] = [70, 530];
    const { factor, found, before } = await swept(rows, columns, commonMoment(columns));
    const scales = await device.refitSwept(factor, found, 'bfloat16').readFloat32();
    scales.forEach((scale, o) => {
      if (scale !== at(before, o)) expect(toBfloat16(scale)).toBe(scale);
    });
    const other = openDevice(kind, 3);
    const copy = async (tensor: Tensor) =>
      float32(other, [...tensor.shape], await tensor.readFloat32());
    const again = {
      codes: other.upload('uint8', [rows, columns], await found.codes.readUint8()),
      zeros: await copy(found.zeros),
      scales: await copy(found.scales),
      errors: await copy(found.errors),
    };
    const repeated = other.refitSwept(await copy(factor), again, 'bfloat16');
    expect(await repeated.readFloat32()).toEqual(scales);
  });

  it('refuses groups', () => {
    const factor = float32(device, [4, 4], new Float32Array(16));
    const groups = float32(device, [2, 2], new Float32Array(4).fill(1));
    const codes = device.upload('uint8', [2, 4], new Uint8Array(8));
    const errors = float32(device, [2, 4], new Float32Array(8));
    const found = { codes, errors, scales: groups, zeros: groups };
    expect(() => device.refitSwept(factor, found, 'float32')).toThrow('[2, 1]');
  });
});
