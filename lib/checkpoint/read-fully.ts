// All of a stretch of a file: what the system reads at once may be less than was asked for.

import type { FileHandle } from 'node:fs/promises';

/** Node reads less than 2 GiB at once. */
const pieceBytes = 1 << 30;

/** Fills `data` from byte `position` of the file on; false where the file ends before. Errors: those of reading. */
export async function readFully(
  handle: FileHandle,
  data: Uint8Array,
  position: number,
): Promise<boolean> {
  for (let done = 0; done < data.byteLength; ) {
    const length = Math.min(data.byteLength - done, pieceBytes);
    const { bytesRead } = await handle.read(data, done, length, position + done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}

/** The same; error where the file ends before. */
export async function expectFully(
  handle: FileHandle,
  data: Uint8Array,
  position: number,
): Promise<void> {
  if (!(await readFully(handle, data, position))) throw new Error('the file has become shorter');
}
