// One place where errors of the file system become a BallastError with a sentence and a remedy.

import { BallastError } from '../errors.js';

const remedies: Record<string, string> = {
  ENOSPC: 'the disk is full: free space or choose another directory',
  EDQUOT: 'the disk quota is used up: free space or choose another directory',
  EFBIG:
    'the file system or a process limit allows no file this large: raise the limit (ulimit -f), choose another directory, or write smaller shards',
  EACCES: 'permission is denied: check the owner and mode of the directory',
  EPERM: 'permission is denied: check the owner and mode of the directory',
  EROFS: 'the file system is read-only: choose another directory',
  ENOENT: 'there is no such file or directory: check the path',
  ENOTDIR: 'a part of the path is a file, not a directory: check the path',
  EISDIR: 'the path is a directory, not a file: check the path',
  EEXIST: 'it exists already: choose another name',
  ENAMETOOLONG: 'the name is too long: choose a shorter one',
  EMFILE: 'too many files are open: raise the limit (ulimit -n)',
};

/** Wraps `error` (met while `doing`, such as "writing model.safetensors"); a BallastError passes unchanged. */
export function ioError(error: unknown, doing: string, path: string): BallastError {
  if (error instanceof BallastError) return error;
  const code = errnoOf(error);
  const remedy = code === undefined ? undefined : remedies[code];
  const reason = remedy ?? (error instanceof Error ? error.message : String(error));
  return new BallastError('ERR_IO', `Failed ${doing} (${path}): ${reason}.`, { cause: error });
}

/** True when the path does not exist. */
export function isMissing(error: unknown): boolean {
  return errnoOf(error) === 'ENOENT';
}

export function errnoOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}
