// The block types of ggml that are uniform grids, and so hold our codes exactly: 32 values of a row with one float16
// scale d and, in the asymmetric ones, a float16 offset m, value = d·code + m. Symmetric ones have m = −d·2^(bits−1).
// Layout of a block: d, m, the fifth bits (one word, value i its bit i), then the codes' low four bits, values i and
// i + 16 sharing a byte; eight-bit codes are signed bytes. Source: ggml-common.h and ggml-quants.c. The device packs them.

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

/** Of d and, where there is one, m. */
export function scaleBytes({ symmetric }: Pick<BlockType, 'symmetric'>): number {
  return symmetric ? 2 : 4;
}

export function blockBytes(type: BlockType): number {
  return scaleBytes(type) + (type.bits * blockValues) / 8;
}
