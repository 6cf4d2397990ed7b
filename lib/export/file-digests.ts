// A result's files are as they were written: each that people have no reason to edit has a digest in ballast-export.json.
// So what is no linear's, embeddings, norms, biases per position, can be told to be whole in any format. A file's
// digest is the SHA-256 of those of its pieces, which are taken on several threads at once.

import { createHash } from 'node:crypto';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { companionFiles } from '../checkpoint/companion-files.js';
import { ioError, isMissing } from '../checkpoint/io-error.js';
import type { OutputDirectory } from '../checkpoint/output-directory.js';
import { BallastError } from '../errors.js';
import { digestThreads, sha256 } from './digest.js';
import { gridFolder } from './grid-file.js';
import { readRecord, recordFile, reportFile } from './verification.js';

const pieceBytes = 1 << 24;

/** What may change, or tells of the files itself. */
const edited = new Set(['config.json', reportFile, recordFile, ...companionFiles]);

/**
 * Adds the digests of the files in `output` to its record; none of them is written to afterwards. `onPiece` throws to
 * stop. Error ERR_IO.
 */
export async function recordFiles(output: OutputDirectory, onPiece?: () => void): Promise<void> {
  const entries = await readdir(output.path, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(output.path, join(entry.parentPath, entry.name)))
    .map((name) => name.replaceAll(sep, '/'));
  const files: Record<string, string> = {};
  for (const name of names.filter((one) => !edited.has(one)).sort()) {
    files[name] = await digestFile(join(output.path, name), onPiece);
  }
  await output.writeJson(recordFile, { ...(await readRecord(output.path)), files });
}

/**
 * Compares every file that the record of `directory` names; returns how many there are. `onPiece` throws to stop.
 * Errors: ERR_CHECKPOINT for the first that differs or is not there, ERR_IO.
 */
export async function verifyFiles(
  directory: string,
  files: Readonly<Record<string, string>>,
  onPiece: () => void,
): Promise<number> {
  let count = 0;
  for (const [name, expected] of Object.entries(files)) {
    const found = await digestFile(join(directory, name), onPiece).catch((error: unknown) => {
      if (!(error instanceof BallastError && isMissing(error.cause))) throw error;
      return undefined;
    });
    // Nothing but a conversion reads the grid, and who needs none may delete it.
    if (found === undefined && name.startsWith(`${gridFolder}/`)) continue;
    if (found !== expected) throw differs(directory, name, found);
    count++;
  }
  return count;
}

/** In hexadecimal. Error ERR_IO. */
async function digestFile(path: string, onPiece: () => void = () => {}): Promise<string> {
  const hash = createHash('sha256');
  try {
    await using handle = await open(path);
    const { size } = await handle.stat();
    const pieces: Promise<string>[] = [];
    for (let at = 0; at < size; at += pieceBytes) {
      onPiece();
      const bytes = await readPiece(handle, at, Math.min(pieceBytes, size - at));
      const digest = sha256([bytes]).then((digested) => digested.digest);
      // Told in turn.
      digest.catch(() => {});
      pieces.push(digest);
      if (pieces.length > digestThreads) hash.update(`${await pieces.shift()}`);
    }
    for (const digest of pieces) hash.update(await digest);
  } catch (error) {
    throw ioError(error, 'digesting a file', path);
  }
  return hash.digest('hex');
}

async function readPiece(handle: FileHandle, from: number, length: number): Promise<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, length - done, from + done);
    if (bytesRead === 0) throw new Error('the file has become shorter');
    done += bytesRead;
  }
  return bytes.buffer;
}

function differs(directory: string, name: string, found: string | undefined): BallastError {
  const problem = found === undefined ? 'is not there' : 'is not the file that was written';
  return new BallastError(
    'ERR_CHECKPOINT',
    `${join(directory, name)} ${problem}: it was damaged, changed or left behind; copy or export the result again.`,
  );
}
