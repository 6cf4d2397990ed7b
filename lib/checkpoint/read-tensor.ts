// A tensor's bytes as they stand in a file: what a result takes over unchanged, and what is packed in a way of its own.

import { open } from 'node:fs/promises';
import { ioError } from './io-error.js';
import { expectFully } from './read-fully.js';
import type { TensorInfo } from './tensor-info.js';

/** In memory of its own, from its beginning. Error ERR_IO. */
export async function readTensor({ file, offset, bytes, name }: TensorInfo): Promise<Uint8Array> {
  const data = Buffer.allocUnsafeSlow(bytes);
  try {
    await using handle = await open(file, 'r');
    await expectFully(handle, data, offset);
  } catch (error) {
    throw ioError(error, `reading tensor '${name}'`, file);
  }
  return data;
}
