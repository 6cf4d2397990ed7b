// Codes as words against one bit stream as a big integer, for every number of bits and odd shapes.

import { describe, expect, it } from 'vitest';
import { packedShape } from '../../lib/export/bit-packing.js';
import { describeDevices, instructionSets, openDevice } from './harness.js';

const shapes = [
  [1, 1],
  [1, 33],
  [31, 1],
  [3, 32],
  [5, 11],
  [64, 7],
  [7, 129],
  [600, 300],
] as const;

/** The words of a row: code i at bit i·b of an integer, cut into 32-bit pieces. */
function rowWords(row: Uint8Array, bits: number): number[] {
  const stream = row.reduceRight((all, code) => (all << BigInt(bits)) | BigInt(code), 0n);
  const [, width] = packedShape([1, row.length], bits, 1);
  return Array.from({ length: width }, (_, i) =>
    Number(BigInt.asIntN(32, stream >> BigInt(32 * i))),
  );
}

function codesOf(count: number, bits: number): Uint8Array {
  let state = count * 31 + bits;
  return Uint8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> (32 - bits);
  });
}

describeDevices('codes as words', instructionSets.slice(0, 1), (kind) => {
  describe.each([1, 2, 3, 4, 5, 6, 7, 8])('of %i bits', (bits) => {
    it.each(shapes)('[%i, %i]', async (rows, columns) => {
      const device = openDevice(kind);
      const codes = codesOf(rows * columns, bits);
      const words = device.packCodes(device.upload('uint8', [rows, columns], codes), bits);
      expect(words.shape).toEqual(packedShape([rows, columns], bits, 1));
      const expected = Array.from({ length: rows }, (_, row) =>
        rowWords(codes.subarray(row * columns, (row + 1) * columns), bits),
      );
      expect([...(await words.readInt32())]).toEqual(expected.flat());
      expect(await device.unpackCodes(words, bits, columns).readUint8()).toEqual(codes);
    });
  });

  it('take the lowest bits of a code that needs more', async () => {
    const device = openDevice(kind);
    const codes = device.upload('uint8', [1, 3], Uint8Array.of(0xff, 0x12, 0x25));
    expect([...(await device.packCodes(codes, 4).readInt32())]).toEqual([0x52f]);
  });

  it('refuse what they cannot hold', () => {
    const device = openDevice(kind);
    const codes = device.zeros('uint8', [2, 40]);
    expect(() => device.packCodes(codes, 9)).toThrow('Expected 1 to 8 bits.');
    const words = device.packCodes(codes, 4);
    expect(words.shape).toEqual([2, 5]);
    expect(() => device.unpackCodes(words, 4, 41)).toThrow(/words/);
    expect(() => device.unpackCodes(words, 4, -1)).toThrow('Expected no negative number of codes.');
    expect(() => device.unpackCodes(codes, 4, 40)).toThrow(/int32/);
  });
});
