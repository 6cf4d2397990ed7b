// The packer against one bit stream as a big integer, for every width, odd shapes and both axes.

import { describe, expect, it } from 'vitest';
import { type PackedAxis, pack, packedShape, unpack } from '../../lib/export/bit-packing.js';
import { at } from '../native/harness.js';

const widths = [2, 3, 4, 5, 6, 7, 8];
const shapes = [
  [1, 1],
  [1, 33],
  [31, 1],
  [3, 32],
  [5, 11],
  [64, 7],
  [7, 129],
] as const;

function codes(count: number, bits: number): Uint8Array {
  let state = count * 31 + bits;
  return Uint8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> (32 - bits);
  });
}

/** The words of one line: value i at bit i·b of an integer, cut into 32-bit pieces. */
function lineWords(line: readonly number[], bits: number): number[] {
  const stream = line.reduceRight((all, value) => (all << BigInt(bits)) | BigInt(value), 0n);
  const words = Math.ceil((line.length * bits) / 32);
  return Array.from({ length: words }, (_, i) => Number((stream >> BigInt(32 * i)) & 0xffffffffn));
}

describe.each(widths)('%i bits', (bits) => {
  it.each(shapes)('packs [%i, %i] as a bit stream along either axis', async (rows, cols) => {
    const values = codes(rows * cols, bits);
    for (const axis of [0, 1] as const satisfies PackedAxis[]) {
      const words = await pack(values, [rows, cols], bits, axis);
      const [height, width] = packedShape([rows, cols], bits, axis);
      expect(words.length).toBe(height * width);
      const lines = axis === 1 ? rows : cols;
      for (let line = 0; line < lines; line++) {
        const length = axis === 1 ? cols : rows;
        const own = Array.from({ length }, (_, i) =>
          at(values, axis === 1 ? line * cols + i : i * cols + line),
        );
        const packed = Array.from({ length: axis === 1 ? width : height }, (_, i) =>
          at(words, axis === 1 ? line * width + i : i * width + line),
        );
        expect(packed).toEqual(lineWords(own, bits));
      }
      expect(await unpack(words, [rows, cols], bits, axis)).toEqual(values);
    }
  });
});

it('lets the event loop run while it packs a large matrix', async () => {
  const values = codes(1 << 23, 4);
  let turns = 0;
  const count = () => {
    turns++;
    next = setImmediate(count);
  };
  let next = setImmediate(count);
  await pack(values, [1 << 12, 1 << 11], 4, 1);
  clearImmediate(next);
  expect(turns).toBeGreaterThan(0);
});
