// A tensor's bytes as they stand in a file: what a result takes over unchanged, and what is packed in a way of its own.

import { open } from 'node:fs/promises';
import { ioError } from './io-error.js';
import { expectFully } from './read-fully.js';
import type { TensorInfo } from './tensor-info.js';

/** In memory of its own, from its beginning. Of an FP8 or MXFP4 weight no file has them. Error ERR_IO. */
export async function readTensor(info: TensorInfo): Promise<Uint8Array> {
  const { file, offset, bytes, name, float8, float4 } = info;
  if ((float8 ?? float4) !== undefined) throw new RangeError(`${name} is stored as codes.`);
  const data = Buffer.allocUnsafeSlow(bytes);
  try {
    await using handle = await open(file, 'r');
    await expectFully(handle, data, offset);
  } catch (error) {
    throw ioError(error, `reading tensor '${name}'`, file);
  }
  return data;
}
