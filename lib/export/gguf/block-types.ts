// The block types of ggml that are uniform grids, and so hold our codes exactly: 32 values of a row with one float16
// scale d and, in the asymmetric ones, a float16 offset m, value = d·code + m. Symmetric ones have m = −d·2^(bits−1).
// Layout of a block: d, m, the fifth bits (one word, value i its bit i), then the codes' low four bits, values i and
// i + 16 sharing a byte; eight-bit codes are signed bytes. Source: ggml-common.h and ggml-quants.c.

import { float16Bits, float16Value } from '../half-precision.js';
import type { HostCodes } from '../host-codes.js';
import { inTurns } from './in-turns.js';

export const blockValues = 32;

export interface BlockType {
  readonly name: string;
  /** ggml's number for the type, and the number for files that are mostly of it. */
  readonly id: number;
  readonly fileType: number;
  readonly bits: 4 | 5 | 8;
  readonly symmetric: boolean;
}

export const blockTypes: readonly BlockType[] = [
  { name: 'Q4_0', id: 2, fileType: 2, bits: 4, symmetric: true },
  { name: 'Q4_1', id: 3, fileType: 3, bits: 4, symmetric: false },
  { name: 'Q5_0', id: 6, fileType: 8, bits: 5, symmetric: true },
  { name: 'Q5_1', id: 7, fileType: 9, bits: 5, symmetric: false },
  { name: 'Q8_0', id: 8, fileType: 7, bits: 8, symmetric: true },
];

export function blockBytes({ bits, symmetric }: BlockType): number {
  return (symmetric ? 2 : 4) + (bits * blockValues) / 8;
}

/** The offset m of a group, float16 as the file has it. */
function offsetBits(scale: number, zero: number): number {
  return float16Bits(-scale * zero);
}

/** The zero point that gives offset m, in float32: scale · (code − zero) = scale · code + m. */
function zeroOf(scale: number, offset: number): number {
  return scale === 0 || offset === 0 ? 0 : Math.fround(-offset / scale);
}

/** The zero point nearest to `zero` whose offset is a float16. */
export function representableZero(scale: number, zero: number): number {
  return zeroOf(scale, float16Value(offsetBits(scale, zero)));
}

/** Row r of the result is row `rowOf[r]` of the codes. */
export async function packBlocks(
  host: HostCodes,
  type: BlockType,
  rowOf: Int32Array | undefined,
): Promise<Uint8Array> {
  const { outChannels, inChannels, groups, codes, scales, zeros } = host;
  const bytes = new Uint8Array(outChannels * groups * blockBytes(type));
  const view = new DataView(bytes.buffer);
  let at = 0;
  await inTurns(outChannels, inChannels, (target) => {
    const row = rowOf?.[target] ?? target;
    for (let group = 0; group < groups; group++) {
      const scale = scales[row * groups + group] ?? 0;
      view.setUint16(at, float16Bits(scale), true);
      at += 2;
      if (!type.symmetric) {
        view.setUint16(at, offsetBits(scale, zeros[row * groups + group] ?? 0), true);
        at += 2;
      }
      at = packCodes(codes, row * inChannels + group * blockValues, view, at, type.bits);
    }
  });
  return bytes;
}

function packCodes(
  codes: Uint8Array,
  from: number,
  view: DataView,
  begin: number,
  bits: number,
): number {
  let at = begin;
  if (bits === 8) {
    for (let i = 0; i < blockValues; i++) view.setInt8(at++, (codes[from + i] ?? 0) - 128);
    return at;
  }
  if (bits === 5) {
    let fifths = 0;
    for (let i = 0; i < blockValues; i++) fifths |= ((codes[from + i] ?? 0) >>> 4) << i;
    view.setUint32(at, fifths >>> 0, true);
    at += 4;
  }
  const half = blockValues / 2;
  for (let i = 0; i < half; i++) {
    const [low = 0, high = 0] = [codes[from + i], codes[from + half + i]];
    view.setUint8(at++, (low & 15) | ((high & 15) << 4));
  }
  return at;
}

/** The inverse of `packBlocks`. */
export async function unpackBlocks(
  bytes: Uint8Array,
  outChannels: number,
  inChannels: number,
  type: BlockType,
  rowOf: Int32Array | undefined,
): Promise<HostCodes> {
  const groups = inChannels / blockValues;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const codes = new Uint8Array(outChannels * inChannels);
  const scales = new Float32Array(outChannels * groups);
  const zeros = new Float32Array(outChannels * groups).fill(2 ** (type.bits - 1));
  let at = 0;
  await inTurns(outChannels, inChannels, (source) => {
    const row = rowOf?.[source] ?? source;
    for (let group = 0; group < groups; group++) {
      const slot = row * groups + group;
      const scale = float16Value(view.getUint16(at, true));
      scales[slot] = scale;
      at += 2;
      if (!type.symmetric) {
        zeros[slot] = zeroOf(scale, float16Value(view.getUint16(at, true)));
        at += 2;
      }
      at = unpackCodes(view, at, codes, row * inChannels + group * blockValues, type.bits);
    }
  });
  return { outChannels, inChannels, groups, codes, scales, zeros };
}

function unpackCodes(
  view: DataView,
  begin: number,
  codes: Uint8Array,
  to: number,
  bits: number,
): number {
  let at = begin;
  if (bits === 8) {
    for (let i = 0; i < blockValues; i++) codes[to + i] = view.getInt8(at++) + 128;
    return at;
  }
  const fifths = bits === 5 ? view.getUint32(at, true) : 0;
  if (bits === 5) at += 4;
  const half = blockValues / 2;
  for (let i = 0; i < half; i++) {
    const pair = view.getUint8(at++);
    codes[to + i] = (pair & 15) | (((fifths >>> i) & 1) << 4);
    codes[to + half + i] = (pair >>> 4) | (((fifths >>> (i + half)) & 1) << 4);
  }
  return at;
}
