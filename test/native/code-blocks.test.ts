// Blocks of ggml's types against blocks that are put together here byte by byte, and back.

import { expect, it } from 'vitest';
import { blockTypes as allTypes, rowBytes } from '../../lib/export/gguf/block-types.js';
import { float16Bits, float16Value } from '../export/half-precision.js';
import { at, describeDevices, instructionSets, normals, openDevice } from './harness.js';

const blockTypes = allTypes.filter(({ superBlocks }) => !superBlocks);

const shapes = [
  [1, 32],
  [3, 64],
  [5, 32 * 67],
  [300, 96],
] as const;

interface Weight {
  readonly rows: number;
  readonly columns: number;
  readonly codes: Uint8Array;
  readonly scales: Float32Array;
  readonly zeros: Float32Array;
}

/** Scales and offsets −scale · zero that float16 holds, a group without either now and then. */
function weightOf(
  rows: number,
  columns: number,
  { bits, symmetric }: { bits: number; symmetric: boolean },
): Weight {
  const groups = (rows * columns) / 32;
  const levels = 2 ** bits;
  const codes = Uint8Array.from(normals(rows * columns, 1), (x) =>
    Math.min(levels - 1, Math.max(0, Math.round(levels / 2 + (x * levels) / 4))),
  );
  const scales = Float32Array.from(normals(groups, 2), (x, g) =>
    g % 13 === 5 ? 0 : float16Value(float16Bits(0.01 * Math.abs(x))),
  );
  const zeros = Float32Array.from(normals(groups, 3), (x, g) => {
    const scale = at(scales, g);
    const offset = float16Value(float16Bits(-scale * Math.round(levels / 2 + x)));
    if (symmetric) return levels / 2;
    return scale === 0 || g % 7 === 3 ? 0 : Math.fround(-offset / scale);
  });
  return { rows, columns, codes, scales, zeros };
}

/** As ggml-quants.c reads it: d, m, the fifth bits, the low four. */
function blocksOf(weight: Weight, type: (typeof blockTypes)[number]): Uint8Array {
  const { codes, scales, zeros } = weight;
  const bytes: number[] = [];
  const half = (value: number) => {
    const bits = float16Bits(value);
    bytes.push(bits & 255, bits >> 8);
  };
  scales.forEach((scale, g) => {
    const block = codes.subarray(32 * g, 32 * (g + 1));
    half(scale);
    if (!type.symmetric) half(-scale * at(zeros, g));
    if (type.bits === 8) {
      for (const code of block) bytes.push((code - 128) & 255);
      return;
    }
    if (type.bits === 5) {
      for (let byte = 0; byte < 4; byte++) {
        const eight = block.subarray(8 * byte, 8 * byte + 8);
        bytes.push(eight.reduce((all, code, i) => all | ((code >> 4) << i), 0));
      }
    }
    for (let i = 0; i < 16; i++) bytes.push((at(block, i) & 15) | ((at(block, i + 16) & 15) << 4));
  });
  return Uint8Array.from(bytes);
}

describeDevices('codes as blocks', instructionSets, (kind) => {
  it.each(
    blockTypes.flatMap((type) => shapes.map((shape) => [type.name, ...shape, type] as const)),
  )('%s [%i, %i]', async (_name, rows, columns, type) => {
    const device = openDevice(kind);
    const weight = weightOf(rows, columns, type);
    const groups = [rows, columns / 32];
    const blocks = device.packBlocks(
      device.upload('uint8', [rows, columns], weight.codes),
      device.upload('float32', groups, weight.scales),
      device.upload('float32', groups, weight.zeros),
      type,
    );
    expect(blocks.shape).toEqual([rows, rowBytes(type, columns)]);
    expect(await blocks.readUint8()).toEqual(blocksOf(weight, type));
    const unpacked = device.unpackBlocks(blocks, type);
    expect(await unpacked.codes.readUint8()).toEqual(weight.codes);
    expect(await unpacked.scales.readFloat32()).toEqual(weight.scales);
    expect(await unpacked.zeros.readFloat32()).toEqual(weight.zeros);
  });

  it('refuse what they cannot hold', () => {
    const device = openDevice(kind);
    const symmetric = { bits: 4, symmetric: true };
    const codes = device.zeros('uint8', [2, 64]);
    const grid = device.zeros('float32', [2, 2]);
    const narrow = device.zeros('float32', [2, 1]);
    expect(() => device.packBlocks(codes, grid, grid, { bits: 3, symmetric: true })).toThrow(
      'Expected blocks of 4, 5 or, symmetric, 8 bits.',
    );
    expect(() => device.packBlocks(codes, grid, grid, { bits: 8, symmetric: false })).toThrow(
      'Expected blocks of 4, 5 or, symmetric, 8 bits.',
    );
    expect(() => device.packBlocks(codes, narrow, grid, symmetric)).toThrow(/scales/);
    expect(() => device.packBlocks(codes, grid, narrow, symmetric)).toThrow(/zeros/);
    expect(() => device.packBlocks(device.zeros('uint8', [2, 33]), grid, grid, symmetric)).toThrow(
      'Expected rows of whole blocks.',
    );
    expect(() => device.unpackBlocks(codes, symmetric)).toThrow('Expected rows of whole blocks.');
    expect(() => device.unpackBlocks(grid, symmetric)).toThrow(/uint8/);
  });
});
