// Creates a directory and those above it. Node's own `mkdir` with `recursive` never returns on file systems that
// answer "no such file" to creation itself (such as /proc), so each step is made by hand.

import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../io-error.js';

export async function makeDirectories(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined || dirname(path) === path) return;
  await makeDirectories(dirname(path));
  await mkdir(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'EEXIST') throw error;
  });
}
