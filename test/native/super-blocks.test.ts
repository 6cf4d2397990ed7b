// Grids of super-blocks: made as they are defined, held by blocks that ggml reads the same values from, and descended on
// without leaving their steps, to where no neighbouring multiple or code would be better.

import { expect, it } from 'vitest';
import type { Device, SuperSteps, Tensor } from '../../lib/device/index.js';
import { blockSize, blockTypeOf } from '../../lib/export/gguf/block-types.js';
import { superBlocks } from '../../lib/quantizers/index.js';
import { ggmlValues } from '../export/ggml-super-blocks.js';
import { float16Bits, float16Value } from '../export/half-precision.js';
import {
  at,
  commonMoment,
  describeDevices,
  expectClose,
  float32,
  instructionSets,
  normals,
  openDevice,
  plainGrid,
  roundHalfEven,
} from './harness.js';

const most: Readonly<Record<number, number>> = { 2: 15, 3: 31, 4: 63, 5: 63, 6: 127 };
const allBits = [2, 3, 4, 5, 6];

const moment = commonMoment(512);

type Grid = { scales: Tensor; zeros: Tensor } & SuperSteps;

/** Weights whose groups differ in size and place, and a group of nothing. */
function weights(rows: number, columns: number): Float32Array {
  const values = normals(rows * columns, 5, 0.1).map(
    (x, i) => x * (1 + (Math.floor(i / 16) % 5)) + 0.05 * (Math.floor(i / 32) % 3),
  );
  return values.fill(0, 32, 64);
}

function gridOf(bits: number) {
  const grid = superBlocks.get(bits);
  if (grid === undefined) throw new RangeError(`No super-blocks of ${bits} bits.`);
  return grid;
}

/** What a grid without steps is, and what it becomes. */
function grids(device: Device, weight: Tensor, bits: number) {
  const found = device.findScales(weight, { ...plainGrid, ...gridOf(bits), bits });
  return { found, grid: device.superScales(weight, found, bits) };
}

async function values(tensors: Grid) {
  const { scales, zeros, scaleSteps, offsetSteps } = tensors;
  return {
    scales: await scales.readFloat32(),
    zeros: await zeros.readFloat32(),
    scaleSteps: await scaleSteps.readFloat32(),
    offsetSteps: await offsetSteps.readFloat32(),
  };
}

const toHalf = (x: number) => Math.max(float16Value(float16Bits(x)), 2 ** -24);

describeDevices('grids of super-blocks', instructionSets, (kind) => {
  it.each(allBits)('are the definition at %i bits', async (bits) => {
    const device = openDevice(kind);
    const [rows, columns] = [3, 512];
    const data = weights(rows, columns);
    const { found, grid } = grids(device, float32(device, [rows, columns], data), bits);
    const [scales, zeros] = [await found.scales.readFloat32(), await found.zeros.readFloat32()];
    const made = await values(grid);
    const { groupSize, symmetric } = gridOf(bits);
    const groups = 256 / groupSize;
    const high = at([most[bits] ?? 0], 0);
    for (let i = 0; i < (rows * columns) / 256; i++) {
      const own = Array.from({ length: groups }, (_, g) => {
        const index = i * groups + g;
        const part = data.subarray(index * groupSize, (index + 1) * groupSize);
        const empty = part.every((w) => w === 0);
        const scale = empty ? 0 : at(scales, index);
        return { scale, offset: Math.fround(scale * at(zeros, index)) };
      });
      const step = (largest: number) => (largest > 0 ? toHalf(Math.fround(largest / high)) : 1);
      const scaleStep = step(Math.max(...own.map(({ scale }) => scale)));
      const offsetStep = symmetric ? 0 : step(Math.max(...own.map(({ offset }) => offset)));
      expect(at(made.scaleSteps, i)).toBe(scaleStep);
      expect(at(made.offsetSteps, i)).toBe(offsetStep);
      own.forEach(({ scale, offset }, g) => {
        const multiple = (x: number, of: number, least: number) =>
          of * Math.min(high, Math.max(least, roundHalfEven(Math.fround(x / of))));
        const expected = multiple(scale, scaleStep, 1);
        expect(at(made.scales, i * groups + g)).toBe(expected);
        expect(at(made.zeros, i * groups + g)).toBe(
          symmetric ? 2 ** (bits - 1) : Math.fround(multiple(offset, offsetStep, 0) / expected),
        );
      });
    }
  });

  it.each(
    allBits.flatMap((bits) => [
      [bits, 1, 256],
      [bits, 3, 512],
      [bits, 70, 768],
    ]),
  )('lie in blocks that ggml reads: %i bits, [%i, %i]', async (bits, rows, columns) => {
    const device = openDevice(kind);
    const weight = float32(device, [rows, columns], weights(rows, columns));
    const { scales, zeros } = grids(device, weight, bits).grid;
    const codes = device.quantize(weight, scales, zeros, bits);
    const type = blockTypeOf({ ...gridOf(bits), bits, superBlocks: true });
    const bytes = type === undefined ? 0 : blockSize(type).bytes;
    const blocks = device.packSuperBlocks(codes, scales, zeros, bits);
    expect(blocks.shape).toEqual([rows, (columns / 256) * bytes]);
    const dequantized = await device.dequantize(codes, scales, zeros, 'float32').readFloat32();
    expectClose(ggmlValues(await blocks.readUint8(), bits, bytes), dequantized, 1e-6);
    const back = device.unpackSuperBlocks(blocks, bits);
    expect(await back.codes.readUint8()).toEqual(await codes.readUint8());
    expect(await back.scales.readFloat32()).toEqual(await scales.readFloat32());
    expect(await back.zeros.readFloat32()).toEqual(await zeros.readFloat32());
  });

  it('that lie on no steps have none in a block', async () => {
    const device = openDevice(kind);
    const codes = device.zeros('uint8', [1, 256]);
    const scales = float32(device, [1, 8], [1, 2, 3, 4, 5, 6, 7, Math.fround(7.001)]);
    const zeros = device.zeros('float32', [1, 8]);
    const blocks = device.packSuperBlocks(codes, scales, zeros, 4);
    const back = device.unpackSuperBlocks(blocks, 4);
    expect((await back.scales.readFloat32()).every(Number.isNaN)).toBe(true);
  });

  it.each(allBits)('give each weight its nearest code: %i bits', async (bits) => {
    const device = openDevice(kind);
    const [rows, columns] = [5, 512];
    const data = weights(rows, columns);
    const weight = float32(device, [rows, columns], data);
    const { grid } = grids(device, weight, bits);
    const { scales, zeros } = await values(grid);
    const codes = device.quantize(weight, grid.scales, grid.zeros, bits);
    const { groupSize } = gridOf(bits);
    (await codes.readUint8()).forEach((code, i) => {
      const group = Math.floor(i / groupSize);
      const exact = at(data, i) / at(scales, group) + at(zeros, group);
      const wanted = Math.min(2 ** bits - 1, Math.max(0, exact));
      expect(Math.abs(code - wanted)).toBeLessThanOrEqual(0.5 + 1e-4);
    });
    // A sweep that has nothing to make good finds the same.
    const identity = Float32Array.from({ length: columns * columns }, (_, i) =>
      i % (columns + 1) === 0 ? 1 : 0,
    );
    const factor = float32(device, [columns, columns], identity);
    const swept = device.gptq(weight, factor, { ...plainGrid, bits, groupSize }, { fixed: grid });
    expect(await swept.codes.readUint8()).toEqual(await codes.readUint8());
  });

  it.each(
    allBits.flatMap((bits) => [
      [bits, 'cyclic'],
      [bits, 'greedy'],
    ]),
  )('are descended on: %i bits, %s', async (bits, order) => {
    const device = openDevice(kind);
    const [rows, columns] = [9, 512];
    const data = weights(rows, columns);
    const matrix = moment;
    const weight = float32(device, [rows, columns], data);
    const { grid } = grids(device, weight, bits);
    const codes = device.quantize(weight, grid.scales, grid.zeros, bits);
    const result = device.descend(
      weight,
      float32(device, [columns, columns], matrix),
      { codes, ...grid },
      {
        ...{ bits, scaleDtype: 'float32', rounds: 40, sweeps: 2, refit: true },
        ...{ greedy: order === 'greedy', unrounded: false, damping: 0, tolerance: 0 },
      },
    );
    const errors = await result.errors.readFloat64();
    for (let step = 1; step < errors.length; ++step) {
      expect(at(errors, step)).toBeLessThanOrEqual(at(errors, step - 1) * (1 + 1e-5));
    }
    const { scales, zeros, scaleSteps, offsetSteps } = await values({ ...grid, ...result });
    const found = await result.codes.readUint8();
    const { groupSize, symmetric } = gridOf(bits);
    const high = most[bits] ?? 0;
    let sum = 0;
    for (let row = 0; row < rows; ++row) {
      const group = (j: number) => (row * columns + j) / groupSize;
      const delta = Float64Array.from({ length: columns }, (_, j) => {
        const g = Math.floor(group(j));
        const value = at(scales, g) * (at(found, row * columns + j) - at(zeros, g));
        return at(data, row * columns + j) - value;
      });
      const residual = Float64Array.from({ length: columns }, (_, j) => {
        let total = 0;
        for (let k = 0; k < columns; ++k) total += at(delta, k) * at(matrix, j * columns + k);
        return total;
      });
      const error = delta.reduce((total, value, j) => total + value * at(residual, j), 0);
      sum += error;
      for (let j = 0; j < columns; j += groupSize) {
        const g = group(j);
        const superBlock = Math.floor((row * columns + j) / 256);
        // What Q += change · u would take off, u a number for each column of the group.
        const gain = (u: (k: number) => number, change: number) => {
          let [slope, curvature] = [0, 0];
          for (let k = j; k < j + groupSize; ++k) {
            slope += u(k) * at(residual, k);
            for (let l = j; l < j + groupSize; ++l) {
              curvature += u(k) * u(l) * at(matrix, k * columns + l);
            }
          }
          return change * (2 * slope - change * curvature);
        };
        const scaleStep = at(scaleSteps, superBlock);
        const multiple = at(scales, g) / scaleStep;
        expect(Number.isInteger(multiple) && multiple >= 1 && multiple <= high).toBe(true);
        const units = (k: number) => at(found, row * columns + k) - (symmetric ? at(zeros, g) : 0);
        if (multiple < high) expect(gain(units, scaleStep)).toBeLessThan(1e-4 * error);
        if (multiple > 1) expect(gain(units, -scaleStep)).toBeLessThan(1e-4 * error);
        if (symmetric) {
          expect(at(zeros, g)).toBe(2 ** (bits - 1));
          continue;
        }
        const offsetStep = at(offsetSteps, superBlock);
        const offset = Math.round((at(scales, g) * at(zeros, g)) / offsetStep);
        expect(offset >= 0 && offset <= high).toBe(true);
        expect(at(zeros, g)).toBe(Math.fround((offset * offsetStep) / at(scales, g)));
        const ones = () => -1;
        if (offset < high) expect(gain(ones, offsetStep)).toBeLessThan(1e-4 * error);
        if (offset > 0) expect(gain(ones, -offsetStep)).toBeLessThan(1e-4 * error);
      }
    }
    expect(at(errors, errors.length - 1) / sum).toBeCloseTo(1, 3);
    expect(at(errors, errors.length - 1)).toBeLessThan(0.8 * at(errors, 0));
  });

  it('refuse what has none', () => {
    const device = openDevice(kind);
    const weight = device.zeros('float32', [2, 256]);
    const found = {
      scales: device.zeros('float32', [2, 8]),
      zeros: device.zeros('float32', [2, 8]),
    };
    expect(() => device.superScales(weight, found, 7)).toThrow(
      'Expected 2 to 6 bits for super-blocks.',
    );
    expect(() => device.superScales(weight, found, 3)).toThrow(/scales/);
    const narrow = device.zeros('float32', [2, 128]);
    expect(() => device.superScales(narrow, found, 4)).toThrow(/whole super-blocks of 256 columns/);
    const codes = device.zeros('uint8', [2, 256]);
    expect(() => device.packSuperBlocks(codes, found.scales, found.zeros, 2)).toThrow(/scales/);
    expect(() => device.unpackSuperBlocks(codes, 4)).toThrow(
      'Expected rows of whole super-blocks.',
    );
    expect(() => device.unpackSuperBlocks(weight, 4)).toThrow(/uint8/);
  });
});
