// Super-blocks as ggml's own reference reads them (ggml-quants.c, dequantize_row_q2_K … q6_K): loops over halves, shifts and
// masks, one value after the other.

import { float16Value } from './half-precision.js';

const byte = (block: Uint8Array, i: number) => block[i] ?? Number.NaN;
const signed = (block: Uint8Array, i: number) => (byte(block, i) << 24) >> 24;
const half = (block: Uint8Array, i: number) =>
  float16Value(byte(block, i) | (byte(block, i + 1) << 8));

/** The j-th six-bit pair of Q4_K and Q5_K, packed from byte 4 on. */
function sixBits(block: Uint8Array, j: number): [scale: number, offset: number] {
  const q = (i: number) => byte(block, 4 + i);
  if (j < 4) return [q(j) & 63, q(j + 4) & 63];
  return [(q(j + 4) & 15) | ((q(j - 4) >> 6) << 4), (q(j + 4) >> 4) | ((q(j) >> 6) << 4)];
}

/** Halves of 128 values, four shifts of 32 bytes each, a scale for each 16. */
function inQuarters(value: (low: number, l: number, group: number) => number, from: number) {
  return (block: Uint8Array) => {
    const values: number[] = [];
    let group = 0;
    for (let n = 0; n < 2; n++) {
      for (let shift = 0; shift < 8; shift += 2) {
        for (const first of [0, 16]) {
          for (let l = first; l < first + 16; l++) {
            values.push(value((byte(block, from + 32 * n + l) >> shift) & 3, l, group));
          }
          group++;
        }
      }
    }
    return values;
  };
}

function q2(block: Uint8Array): number[] {
  const [d, least] = [half(block, 80), half(block, 82)];
  return inQuarters((low, _, group) => {
    const both = byte(block, group);
    return d * (both & 15) * low - least * (both >> 4);
  }, 16)(block);
}

function q3(block: Uint8Array): number[] {
  const d = half(block, 108);
  const scale = (group: number) => {
    const low = byte(block, 96 + (group % 8)) >> (group < 8 ? 0 : 4);
    const high = byte(block, 104 + (group % 4)) >> (2 * Math.floor(group / 4));
    return ((low & 15) | ((high & 3) << 4)) - 32;
  };
  return inQuarters((low, l, group) => {
    const set = byte(block, l) & (1 << Math.floor(group / 2));
    return d * scale(group) * (low - (set ? 0 : 4));
  }, 32)(block);
}

/** Chunks of 64 values: the low nibbles of 32 bytes, then the high ones. */
function inChunks(block: Uint8Array, from: number, fifths: number | undefined): number[] {
  const [d, least] = [half(block, 0), half(block, 2)];
  const values: number[] = [];
  for (let group = 0; group < 8; group++) {
    const [scale, offset] = sixBits(block, group);
    for (let l = 0; l < 32; l++) {
      const low = (byte(block, from + 32 * (group >> 1) + l) >> (group % 2 ? 4 : 0)) & 15;
      const high = fifths !== undefined && byte(block, fifths + l) & (1 << group) ? 16 : 0;
      values.push(d * scale * (low + high) - least * offset);
    }
  }
  return values;
}

function q6(block: Uint8Array): number[] {
  const d = half(block, 208);
  const values = new Array<number>(256);
  for (let n = 0; n < 2; n++) {
    for (let l = 0; l < 32; l++) {
      const low = (i: number) => byte(block, 64 * n + i);
      const high = byte(block, 128 + 32 * n + l);
      const codes = [low(l) & 15, low(l + 32) & 15, low(l) >> 4, low(l + 32) >> 4];
      codes.forEach((code, quarter) => {
        const scale = signed(block, 192 + 8 * n + 2 * quarter + (l >> 4));
        const q = (code | (((high >> (2 * quarter)) & 3) << 4)) - 32;
        values[128 * n + 32 * quarter + l] = d * scale * q;
      });
    }
  }
  return values;
}

const readers: Readonly<Record<number, (block: Uint8Array) => number[]>> = {
  2: q2,
  3: q3,
  4: (block) => inChunks(block, 16, undefined),
  5: (block) => inChunks(block, 48, 16),
  6: q6,
};

/** The values of blocks one after the other, `bytes` each. */
export function ggmlValues(blocks: Uint8Array, bits: number, bytes: number): Float64Array {
  const read = readers[bits];
  if (read === undefined) throw new RangeError(`No super-blocks of ${bits} bits.`);
  const values = Array.from({ length: blocks.length / bytes }, (_, i) =>
    read(blocks.subarray(i * bytes, (i + 1) * bytes)),
  );
  return Float64Array.from(values.flat());
}
