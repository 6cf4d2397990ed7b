// A result's files are as they were written: each that people have no reason to edit has a digest in ballast-export.json.
// So what is no linear's, embeddings, norms, biases per position, can be told to be whole in any format. Weights that
// lie there as they are executed have the linears' digests (verification.ts) and are left out: nearly all of a result
// that holds no codes. Codes stay in, since a linear's digest is of what they stand for, and not every bit counts there.

import { createHash } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { ioError, isMissing } from '../checkpoint/io-error.js';
import type { OutputDirectory } from '../checkpoint/output/output-directory.js';
import { editedFiles, recordFile } from '../checkpoint/output/result-files.js';
import type { TensorInfo } from '../checkpoint/tensor-info.js';
import { BallastError } from '../errors.js';
import { type BlockModel, shapeOf } from '../models/index.js';
import { gridFolder } from './grid-file.js';
import { openWritten } from './joined-parts.js';
import type { OpenedResult } from './opened-result.js';
import { expectRecord } from './record.js';
import { findFormat } from './registry.js';

/** Hashed in a millisecond or two, so the event loop is not held up; larger ones are hardly faster. */
const pieceBytes = 1 << 20;

/**
 * Adds the digests of the files in `output`, which holds `model`, to its record; none of them is written to afterwards.
 * `onPiece` throws to stop. Error ERR_IO.
 */
export async function recordFiles(
  output: OutputDirectory,
  model: BlockModel,
  onPiece: () => void = () => {},
): Promise<void> {
  const record = await expectRecord(output.path);
  const executed = await executedWeights(output.path, record.format, model);
  const entries = await readdir(output.path, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(output.path, join(entry.parentPath, entry.name)))
    .map((name) => name.replaceAll(sep, '/'));
  const files: Record<string, string> = {};
  for (const name of names.filter((one) => !editedFiles.has(one)).sort()) {
    files[name] = await digestFile(output.path, name, executed, onPiece);
  }
  await output.writeJson(recordFile, { ...record, files });
}

/**
 * Compares every file that the record of the result in `directory` names; returns how many there are. `onPiece` throws
 * to stop. Errors: ERR_CHECKPOINT for the first that differs or is not there, ERR_IO.
 */
export async function verifyFiles(
  directory: string,
  { record: { format, files = {} }, model }: Pick<OpenedResult, 'record' | 'model'>,
  onPiece: () => void = () => {},
): Promise<number> {
  const executed = await executedWeights(directory, format, model);
  let count = 0;
  for (const [name, expected] of Object.entries(files)) {
    const found = await digestFile(directory, name, executed, onPiece).catch((error: unknown) => {
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

/** The tensors whose every bit is in a linear's digest: the weights `verifyResult` compares, where they are no codes. */
async function executedWeights(
  directory: string,
  format: string,
  model: BlockModel,
): Promise<TensorInfo[]> {
  if (findFormat(format).plain !== true) return [];
  const checkpoint = await openWritten(directory, model);
  return Array.from({ length: model.blocks }, (_, block) =>
    shapeOf(model, block).linears.map(({ name }) =>
      checkpoint.tensor(`${model.blockName(block)}.${name}.weight`),
    ),
  ).flat();
}

/** SHA-256 in hexadecimal of a file's bytes but for those of `without`. Error ERR_IO. */
async function digestFile(
  directory: string,
  name: string,
  without: readonly TensorInfo[],
  onPiece: () => void,
): Promise<string> {
  const path = join(directory, name);
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafeSlow(pieceBytes);
  try {
    await using handle = await open(path);
    const { size } = await handle.stat();
    // The header is never left out, so the digest also tells which bytes are.
    const here = without.filter(({ file }) => basename(file) === name);
    for (const [from, to] of rangesBetween(here, size)) {
      for (let at = from; at < to; ) {
        onPiece();
        const { bytesRead } = await handle.read(piece, 0, Math.min(pieceBytes, to - at), at);
        if (bytesRead === 0) throw new Error('the file has become shorter');
        hash.update(piece.subarray(0, bytesRead));
        at += bytesRead;
      }
    }
  } catch (error) {
    throw ioError(error, 'digesting a file', path);
  }
  return hash.digest('hex');
}

/** The bytes [from, to) of a file of `size` bytes that are in none of `tensors`. */
function* rangesBetween(
  tensors: readonly TensorInfo[],
  size: number,
): Generator<readonly [from: number, to: number]> {
  let from = 0;
  for (const { offset, bytes } of [...tensors].sort((one, other) => one.offset - other.offset)) {
    yield [from, offset];
    from = offset + bytes;
  }
  yield [from, size];
}

function differs(directory: string, name: string, found: string | undefined): BallastError {
  const problem = found === undefined ? 'is not there' : 'is not the file that was written';
  return new BallastError(
    'ERR_CHECKPOINT',
    `${join(directory, name)} ${problem}: it was damaged, changed or left behind; copy or export the result again.`,
  );
}
