// A single file that appears whole or not at all: written to `<path>.partial-<random>` beside it and renamed. What stood
// there before stays until then, and passes on who may read it.

import { randomBytes } from 'node:crypto';
import { realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { ioError, isMissing } from '../io-error.js';

/** `doing` names it in errors, such as "writing the report". Error ERR_IO. */
export async function writeWholeFile(path: string, text: string, doing: string): Promise<void> {
  try {
    const found = await stat(path).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
      return undefined;
    });
    // A terminal, a pipe or a device takes text as it comes, and nothing may be put in its place.
    if (found !== undefined && !found.isFile()) return await writeFile(path, text);
    if (found === undefined) await replace(path, text);
    else await replace(await realpath(path), text, found.mode & 0o777);
  } catch (error) {
    throw ioError(error, doing, path);
  }
}

async function replace(path: string, text: string, mode = 0o666): Promise<void> {
  const partial = `${path}.partial-${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(partial, text, { flag: 'wx', flush: true, mode });
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}
