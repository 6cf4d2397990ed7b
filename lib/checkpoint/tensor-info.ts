// Where a tensor of a checkpoint lies, and as what. A weight that is stored as codes of float8_e4m3fn or float4_e2m1 beside
// scales is told as the float tensor that it stands for: only who reads its bytes has to know of the codes.

import { BallastError } from '../errors.js';
import { bytesPerElement, type TensorDtype } from './dtypes.js';

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
  /** Of matrices [in, out] whose data are codes, two in a byte; there they lie [out, in]. */
  readonly float4?: Float4Scales;
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

/** A scale, float8_e8m0fnu in uint8, for each block of so many codes of a row. */
export interface Float4Scales {
  /** [out, in / values] of each matrix. */
  readonly scales: TensorInfo;
  readonly values: number;
}

/** Of the file that a tensor's own data take, scales left out. */
export function storedBytes({ bytes, dtype, float8, float4 }: TensorInfo): number {
  const elements = bytes / bytesPerElement(dtype);
  if (float4 !== undefined) return elements / 2;
  return float8 === undefined ? bytes : elements;
}

/** Rows are along the last axis, and the others taken as one; a vector's are its elements. */
export function rowCount({ shape }: TensorInfo): number {
  const leading = shape.length > 1 ? shape.slice(0, -1) : shape;
  return leading.reduce((product, extent) => product * extent, 1);
}

/** Rows of a tensor, as a tensor of that name. */
export function rowsOf(info: TensorInfo, name: string, firstRow: number, rows: number): TensorInfo {
  const { shape, offset, bytes, float8, float4 } = info;
  const row = shape.length > 1 ? shape.slice(-1) : [];
  const count = rowCount(info);
  return {
    ...info,
    name,
    shape: [rows, ...row],
    offset: offset + (firstRow * storedBytes(info)) / count,
    bytes: (rows * bytes) / count,
    ...(float8 && { float8: { ...float8, firstRow: float8.firstRow + firstRow } }),
    ...(float4 && { float4: { ...float4, scales: scalesOf(info, float4, firstRow, rows) } }),
  };
}

/** Of one whole matrix: rows of others lie scattered. Error ERR_CHECKPOINT for other rows. */
function scalesOf(
  { name, shape, file }: TensorInfo,
  { scales, values }: Float4Scales,
  firstRow: number,
  rows: number,
): TensorInfo {
  const [out = 0, inChannels = 1] = [shape.at(-1), shape.at(-2)];
  if (firstRow % inChannels !== 0 || rows !== inChannels) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected ${rows} input channels for ${name} as config.json says but ${file} holds [${shape.join(', ')}].`,
    );
  }
  const groups = inChannels / values;
  const bytes = out * groups;
  const offset = scales.offset + (firstRow / inChannels) * bytes;
  return { ...scales, shape: [out, groups], offset, bytes };
}
