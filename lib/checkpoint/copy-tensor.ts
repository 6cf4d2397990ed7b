// A tensor's bytes as they stand in the source, for what a result takes over unchanged.

import { open } from 'node:fs/promises';
import { ioError } from './io-error.js';
import type { TensorInfo } from './safetensors-header.js';

/** Reads the tensor's bytes and hands them to `write`. Error ERR_IO. */
export async function copyTensor(
  { file, offset, bytes, name }: TensorInfo,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const data = Buffer.allocUnsafe(bytes);
  try {
    await using handle = await open(file, 'r');
    for (let done = 0; done < bytes; ) {
      const { bytesRead } = await handle.read(
        data,
        done,
        Math.min(bytes - done, 1 << 30),
        offset + done,
      );
      if (bytesRead === 0) throw new Error('the file has become shorter');
      done += bytesRead;
    }
  } catch (error) {
    throw ioError(error, `reading tensor '${name}'`, file);
  }
  await write(data);
}
