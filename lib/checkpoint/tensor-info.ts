// Where a tensor of a checkpoint lies, and as what. A weight that is stored as codes of float8_e4m3fn beside scales is told
// as the float tensor that it stands for: only who reads its bytes has to know of the codes.

import type { TensorDtype } from './dtypes.js';

export interface TensorInfo {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: number[];
  /** Path of the file that holds the data. */
  readonly file: string;
  /** First byte of the data, counted from the start of the file; not always a multiple of the element size. */
  readonly offset: number;
  /** Of the tensor, in its type. */
  readonly bytes: number;
  /** Of one whose data are codes, a byte for each element. */
  readonly float8?: Float8Scales;
}

/** A float32, float16 or bfloat16 scale for each block of codes; the last blocks may be cut short. */
export interface Float8Scales {
  /** Its shape is that of the grid of blocks. */
  readonly scales: TensorInfo;
  /** Of a block. */
  readonly rows: number;
  readonly cols: number;
  /** The tensor's, in what the blocks cover. */
  readonly firstRow: number;
}

/** Rows are along the last axis, and the others taken as one; a vector's are its elements. */
export function rowCount({ shape }: TensorInfo): number {
  const leading = shape.length > 1 ? shape.slice(0, -1) : shape;
  return leading.reduce((product, extent) => product * extent, 1);
}

/** Rows of a tensor, as a tensor of that name. */
export function rowsOf(info: TensorInfo, name: string, firstRow: number, rows: number): TensorInfo {
  const { shape, offset, bytes, float8 } = info;
  const row = shape.length > 1 ? shape.slice(-1) : [];
  const [elements = 1] = row;
  const rowBytes = bytes / rowCount(info);
  return {
    ...info,
    name,
    shape: [rows, ...row],
    offset: offset + firstRow * (float8 === undefined ? rowBytes : elements),
    bytes: rows * rowBytes,
    ...(float8 && { float8: { ...float8, firstRow: float8.firstRow + firstRow } }),
  };
}
