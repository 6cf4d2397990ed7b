// Codes of 2 to 8 bits, packed densely with the lowest bit first: value i of a line takes bits i·b … i·b + b − 1 of
// a stream that is cut into 32-bit words, little-endian; the last word of a line is filled with zeros. This is how
// compressed-tensors, GPTQ and ONNX hold codes; they differ only in the axis that a line runs along.

import { setImmediate as nextTurn } from 'node:timers/promises';

/** The axis of a row-major [rows, cols] matrix that lines run along: 1 packs each row, 0 each column. */
export type PackedAxis = 0 | 1;

export type Shape = readonly [rows: number, cols: number];

/** Values between two turns of the event loop: some 10 ms. */
const valuesPerTurn = 1 << 22;

function packedLength(values: number, bits: number): number {
  return Math.ceil((values * bits) / 32);
}

export function packedShape([rows, cols]: Shape, bits: number, axis: PackedAxis): [number, number] {
  return axis === 1 ? [rows, packedLength(cols, bits)] : [packedLength(rows, bits), cols];
}

/** Values below 2^bits as words of `packedShape`. */
export async function pack(
  values: Uint8Array,
  shape: Shape,
  bits: number,
  axis: PackedAxis,
): Promise<Uint32Array> {
  if (axis === 0) {
    const turned: Shape = [shape[1], shape[0]];
    const words = await pack(transpose(values, shape), turned, bits, 1);
    return transpose(words, packedShape(turned, bits, 1));
  }
  const [rows, cols] = shape;
  const width = packedLength(cols, bits);
  const words = new Uint32Array(rows * width);
  await inTurns(rows, cols, (row) => packLine(values, row * cols, cols, bits, words, row * width));
  return words;
}

/** The inverse of `pack`; `shape` is that of the values. */
export async function unpack(
  words: Uint32Array,
  shape: Shape,
  bits: number,
  axis: PackedAxis,
): Promise<Uint8Array> {
  if (axis === 0) {
    const turned: Shape = [shape[1], shape[0]];
    const lines = transpose(words, packedShape(shape, bits, 0));
    return transpose(await unpack(lines, turned, bits, 1), turned);
  }
  const [rows, cols] = shape;
  const width = packedLength(cols, bits);
  const values = new Uint8Array(rows * cols);
  await inTurns(rows, cols, (row) =>
    unpackLine(words, row * width, values, row * cols, cols, bits),
  );
  return values;
}

function packLine(
  values: Uint8Array,
  from: number,
  count: number,
  bits: number,
  words: Uint32Array,
  to: number,
): void {
  let word = 0;
  let filled = 0;
  let at = to;
  for (let i = from; i < from + count; i++) {
    const value = values[i] ?? 0;
    word |= value << filled;
    filled += bits;
    if (filled < 32) continue;
    words[at++] = word;
    filled -= 32;
    // A shift by all of the value's bits leaves none.
    word = value >>> (bits - filled);
  }
  if (filled > 0) words[at] = word;
}

function unpackLine(
  words: Uint32Array,
  from: number,
  values: Uint8Array,
  to: number,
  count: number,
  bits: number,
): void {
  const mask = (1 << bits) - 1;
  for (let i = 0; i < count; i++) {
    const bit = i * bits;
    const at = from + (bit >>> 5);
    const shift = bit & 31;
    let value = (words[at] ?? 0) >>> shift;
    if (shift + bits > 32) value |= (words[at + 1] ?? 0) << (32 - shift);
    values[to + i] = value & mask;
  }
}

/** [rows, cols] → [cols, rows], in tiles that stay in the cache. */
export function transpose<T extends Uint8Array | Uint16Array | Uint32Array | Float32Array>(
  values: T,
  [rows, cols]: Shape,
): T {
  const turned = values.slice() as T;
  const tile = 64;
  for (let top = 0; top < rows; top += tile) {
    const bottom = Math.min(top + tile, rows);
    for (let left = 0; left < cols; left += tile) {
      const right = Math.min(left + tile, cols);
      for (let row = top; row < bottom; row++) {
        for (let col = left; col < right; col++) {
          turned[col * rows + row] = values[row * cols + col] ?? 0;
        }
      }
    }
  }
  return turned;
}

/** Calls `body` for each row, and lets the event loop run in between. */
export async function inTurns(
  rows: number,
  cols: number,
  body: (row: number) => void,
): Promise<void> {
  const step = Math.max(1, Math.floor(valuesPerTurn / Math.max(1, cols)));
  for (let begin = 0; begin < rows; begin += step) {
    if (begin > 0) await nextTurn();
    const end = Math.min(rows, begin + step);
    for (let row = begin; row < end; row++) body(row);
  }
}
