// What a GGUF file says of itself, its numbers of types put into words.

import { join } from 'node:path';
import type { FileDescription } from '../format.js';
import { blockSize, blockTypes } from './block-types.js';
import { damagedGguf, GgufFile } from './file-reader.js';
import { floatTypes } from './kept-tensors.js';

/** Bytes that so many values of a type take. */
interface TypeSize {
  readonly dtype: string;
  readonly values: number;
  readonly bytes: number;
}

/** By ggml's number. */
const typeSizes: ReadonlyMap<number, TypeSize> = new Map<number, TypeSize>([
  [floatTypes.float32, { dtype: 'float32', values: 1, bytes: 4 }],
  [floatTypes.float16, { dtype: 'float16', values: 1, bytes: 2 }],
  [floatTypes.bfloat16, { dtype: 'bfloat16', values: 1, bytes: 2 }],
  ...blockTypes.map((type): [number, TypeSize] => [
    type.id,
    { dtype: type.name, ...blockSize(type) },
  ]),
]);

/** Errors: ERR_CHECKPOINT for a type that no result has, or a tensor that lies beyond the file's end; ERR_IO. */
export async function describeGguf(directory: string, name: string): Promise<FileDescription> {
  const file = await GgufFile.open(join(directory, name));
  const tensors = Array.from(file.tensors, ([tensor, { type, shape, offset }]) => {
    const size = typeSizes.get(type);
    if (size === undefined) throw damagedGguf(file.path, `${tensor} has type ${type}`);
    if ((shape.at(-1) ?? 0) % size.values !== 0) {
      throw damagedGguf(file.path, `rows of ${tensor} are no whole blocks of ${size.dtype}`);
    }
    const elements = shape.reduce((product, extent) => product * extent, 1);
    const bytes = (elements / size.values) * size.bytes;
    if (offset + bytes > file.bytes) {
      throw damagedGguf(file.path, `it ends inside tensor ${tensor}`);
    }
    return { dtype: size.dtype, shape, bytes };
  });
  return { file: name, tensors, metadata: file.values };
}
