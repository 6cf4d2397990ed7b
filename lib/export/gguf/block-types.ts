// The block types of ggml that are uniform grids, and so hold our codes exactly: blocks of 32 values of a row with one float16
// scale d and, in the asymmetric ones, a float16 offset m, value = d·code + m; and super-blocks of 256 values, whose groups'
// scales and offsets are small multiples of two float16 numbers. Layouts: native/backend/params.h, super_block_bytes.h. Source:
// ggml-common.h and ggml-quants.c. The device packs them.

import type { Device, Tensor } from '../../device/index.js';
import { type QuantizedWeight, superBlockColumns, superBlocks } from '../../quantizers/index.js';
import type { Grid } from '../format.js';
import type { StoredBits } from '../stored-bits.js';

/** Values of a block. */
export const blockValues = 32;

export interface BlockType {
  readonly name: string;
  /** ggml's number for the type, and the number for files that are mostly of it. */
  readonly id: number;
  readonly fileType: number;
  readonly bits: number;
  readonly symmetric: boolean;
  readonly superBlocks: boolean;
}

const simple = { superBlocks: false } as const;

/** Of embedding and head, where they are no floats: a row of theirs is a token's, and loses next to nothing. */
export const embeddingType: BlockType = {
  ...{ name: 'Q8_0', id: 8, fileType: 7, bits: 8, symmetric: true, superBlocks: false },
};

export const blockTypes: readonly BlockType[] = [
  { name: 'Q4_0', id: 2, fileType: 2, bits: 4, symmetric: true, ...simple },
  { name: 'Q4_1', id: 3, fileType: 3, bits: 4, symmetric: false, ...simple },
  { name: 'Q5_0', id: 6, fileType: 8, bits: 5, symmetric: true, ...simple },
  { name: 'Q5_1', id: 7, fileType: 9, bits: 5, symmetric: false, ...simple },
  embeddingType,
  { name: 'Q2_K', id: 10, fileType: 10, bits: 2, symmetric: false, superBlocks: true },
  { name: 'Q3_K', id: 11, fileType: 11, bits: 3, symmetric: true, superBlocks: true },
  { name: 'Q4_K', id: 12, fileType: 14, bits: 4, symmetric: false, superBlocks: true },
  { name: 'Q5_K', id: 13, fileType: 16, bits: 5, symmetric: false, superBlocks: true },
  { name: 'Q6_K', id: 14, fileType: 18, bits: 6, symmetric: true, superBlocks: true },
];

export function blockTypeOf({
  bits,
  symmetric,
  superBlocks: inSuperBlocks = false,
}: Pick<Grid, 'bits' | 'symmetric' | 'superBlocks'>): BlockType | undefined {
  return blockTypes.find(
    (type) =>
      type.bits === bits && type.symmetric === symmetric && type.superBlocks === inSuperBlocks,
  );
}

/** A group's share of what is stored besides codes: the scale and, where there is one, the offset. */
export function storedBits({ bits, symmetric, superBlocks: isSuper }: BlockType): StoredBits {
  if (!isSuper) return { code: bits, group: symmetric ? 16 : 32 };
  return { code: bits, group: superBlocks.get(bits)?.groupBits ?? 0 };
}

/** Values of a block or super-block, and the bytes that it takes. */
export function blockSize(type: BlockType): { values: number; bytes: number } {
  const values = type.superBlocks ? superBlockColumns : blockValues;
  const { groupSize = blockValues } = (type.superBlocks && superBlocks.get(type.bits)) || {};
  const { code, group } = storedBits(type);
  return { values, bytes: (values * code + (values / groupSize) * group) / 8 };
}

/** Bytes of one row. */
export function rowBytes(type: BlockType, columns: number): number {
  const { values, bytes } = blockSize(type);
  return (columns / values) * bytes;
}

/** [out, in] as blocks [out, bytes of a row] uint8. */
export function packed(
  device: Device,
  { codes, scales, zeros }: QuantizedWeight,
  type: BlockType,
): Tensor {
  return type.superBlocks
    ? device.packSuperBlocks(codes, scales, zeros, type.bits)
    : device.packBlocks(codes, scales, zeros, type);
}

export function unpacked(device: Device, blocks: Tensor, type: BlockType): QuantizedWeight {
  return type.superBlocks
    ? device.unpackSuperBlocks(blocks, type.bits)
    : device.unpackBlocks(blocks, type);
}
