// The two files by which a directory is known for a result of ours, and what else may lie in one that is overwritten:
// nothing but what was written with them. A source model, or what a user put there, is not ours to remove.

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { BallastError } from '../../errors.js';
import { isRecord, readJsonObject } from '../bounded-json.js';
import { companionFiles } from '../companion-files.js';

/** What reading a result needs besides config.json; in every result. */
export const recordFile = 'ballast-export.json';

/** What a run tells of itself beside its result. */
export const reportFile = 'ballast.json';

/** Those that the record has no digests of: they may be edited, or tell of the files themselves. */
export const editedFiles: ReadonlySet<string> = new Set([
  'config.json',
  reportFile,
  recordFile,
  ...companionFiles,
]);

/** Error ERR_ARGUMENT for a directory with these entries that is no result, or holds anything besides. */
export async function expectResultAlone(
  directory: string,
  entries: readonly string[],
): Promise<void> {
  if (!entries.includes(recordFile)) {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected a result of ballast to overwrite but ${directory} has no ${recordFile}; it is left alone: choose another.`,
    );
  }
  const files = await recordedFiles(directory);
  if (files === undefined) return;
  const written = new Set(editedFiles);
  for (const file of files) written.add(file.split('/', 1)[0] ?? file);
  const other = entries.find((entry) => !written.has(entry));
  if (other === undefined) return;
  throw new BallastError(
    'ERR_ARGUMENT',
    `Expected nothing but a result to overwrite but ${join(directory, other)} is not part of it; move it, or choose another ` +
      'directory.',
  );
}

/**
 * Error ERR_CHECKPOINT where the record of a result names one of `files` that is not there. None in any other directory, and
 * for files that the result never had.
 */
export async function expectRecordedFiles(
  directory: string,
  files: readonly string[],
): Promise<void> {
  const recorded = await recordedFiles(directory);
  for (const file of files.filter((name) => recorded?.includes(name))) {
    try {
      await access(join(directory, file));
    } catch (error) {
      throw new BallastError(
        'ERR_CHECKPOINT',
        `${join(directory, file)} cannot be read, and the result beside it was made with it; copy or export the result again.`,
        { cause: error },
      );
    }
  }
}

/** The paths that a result's record has digests of, with slashes; results of an earlier version do not name theirs. */
async function recordedFiles(directory: string): Promise<string[] | undefined> {
  const files = (await readJsonObject(join(directory, recordFile)))?.files;
  return isRecord(files) ? Object.keys(files) : undefined;
}
