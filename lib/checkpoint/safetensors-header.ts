// The header of one safetensors file: u64 little-endian length N, N bytes of JSON, then the data. Everything is
// checked before anything trusts it: lengths against the file, types, shapes, and that the tensors tile the data
// exactly (no overlap, no hole), as the format demands. Source: https://github.com/huggingface/safetensors.

import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { BallastError } from '../errors.js';
import { isRecord, maxJsonBytes, parseJsonObject } from './bounded-json.js';
import { denseBytes, dtypeFromTag, knownTags } from './dtypes.js';
import { ioError } from './io-error.js';
import { readFully } from './read-fully.js';
import type { TensorInfo } from './tensor-info.js';

interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Size of the whole file in bytes. */
  readonly fileBytes: number;
}

const prefixBytes = 8;
const remedy = 'the file is damaged or was not fully downloaded: fetch or export it again.';

/** Reads and checks the header of `path`. Errors: ERR_CHECKPOINT (contents), ERR_IO (unreadable). */
export async function readHeader(path: string): Promise<SafetensorsHeader> {
  try {
    const handle = await open(path);
    try {
      return await parseFile(handle, path);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw ioError(error, `reading ${basename(path)}`, path);
  }
}

async function parseFile(handle: FileHandle, path: string): Promise<SafetensorsHeader> {
  // 1. The length prefix, against the file and the limit.
  const { size: fileBytes } = await handle.stat();
  if (fileBytes < prefixBytes) {
    throw damaged(path, `Expected at least ${prefixBytes} bytes but received ${fileBytes}`);
  }
  const length = (await readExactly(handle, path, 0, prefixBytes)).readBigUInt64LE();
  if (length > BigInt(maxJsonBytes)) {
    throw damaged(
      path,
      `Expected a header of at most ${maxJsonBytes} bytes but received ${length}`,
    );
  }
  const dataStart = prefixBytes + Number(length);
  if (dataStart > fileBytes) {
    throw damaged(path, `The header claims ${length} bytes but the file has only ${fileBytes}`);
  }

  // 2. The JSON.
  const bytes = await readExactly(handle, path, prefixBytes, Number(length));
  const { __metadata__: metadata, ...entries } = parseJsonObject(bytes, `the header of ${path}`);

  // 3. Each tensor alone, then all together.
  const tensors = new Map<string, TensorInfo>();
  for (const [name, entry] of Object.entries(entries)) {
    tensors.set(name, parseEntry(path, name, entry, dataStart, fileBytes));
  }
  checkTiling(path, [...tensors.values()], dataStart, fileBytes);
  return { tensors, metadata: parseMetadata(path, metadata), fileBytes };
}

function parseEntry(
  file: string,
  name: string,
  entry: unknown,
  dataStart: number,
  fileBytes: number,
): TensorInfo {
  const of = `tensor '${name}'`;
  if (!isRecord(entry)) throw damaged(file, `Expected dtype, shape and data_offsets for ${of}`);
  const dtype = dtypeFromTag(entry.dtype);
  if (dtype === undefined) {
    const received = JSON.stringify(entry.dtype);
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected one of ${knownTags.join(', ')} for the dtype of ${of} in ${file} but received ${received}; ` +
        'convert the tensor to one of these.',
    );
  }
  const expected = denseBytes(dtype, entry.shape);
  if (expected === undefined) {
    throw damaged(
      file,
      `Expected whole numbers for the shape of ${of} but received ${show(entry.shape)}`,
    );
  }
  const offsets = entry.data_offsets;
  if (!isOffsetPair(offsets)) {
    throw damaged(
      file,
      `Expected [begin, end] for the data_offsets of ${of} but received ${show(offsets)}`,
    );
  }
  const [begin, end] = offsets;
  if (end > fileBytes - dataStart) {
    const available = fileBytes - dataStart;
    throw damaged(
      file,
      `The data of ${of} ends at byte ${end} but the file holds only ${available}`,
    );
  }
  if (end - begin !== expected) {
    const needs = `${entry.dtype} ${show(entry.shape)} takes ${expected} bytes`;
    throw damaged(file, `The data_offsets of ${of} span ${end - begin} bytes but ${needs}`);
  }
  const shape = entry.shape as number[];
  return { name, dtype, shape, file, offset: dataStart + begin, bytes: expected };
}

function isOffsetPair(value: unknown): value is [number, number] {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [begin, end] = value;
  return Number.isSafeInteger(begin) && Number.isSafeInteger(end) && begin >= 0 && begin <= end;
}

function checkTiling(
  file: string,
  tensors: TensorInfo[],
  dataStart: number,
  fileBytes: number,
): void {
  tensors.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let at = dataStart;
  let previous = 'the header';
  for (const { name, offset, bytes } of tensors) {
    if (offset < at) throw damaged(file, `The data of tensor '${name}' overlaps ${previous}`);
    if (offset > at) {
      throw damaged(
        file,
        `${offset - at} bytes between ${previous} and tensor '${name}' belong to no tensor`,
      );
    }
    at = offset + bytes;
    previous = `tensor '${name}'`;
  }
  if (at < fileBytes)
    throw damaged(file, `${fileBytes - at} bytes after ${previous} belong to no tensor`);
}

function parseMetadata(file: string, metadata: unknown): Record<string, string> {
  if (metadata === undefined) return {};
  if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== 'string')) {
    throw damaged(file, 'Expected text values for __metadata__');
  }
  return metadata as Record<string, string>;
}

async function readExactly(
  handle: FileHandle,
  path: string,
  position: number,
  length: number,
): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  if (await readFully(handle, buffer, position)) return buffer;
  throw damaged(path, 'The file became shorter while it was read');
}

function damaged(file: string, message: string): BallastError {
  return new BallastError('ERR_CHECKPOINT', `${message} in ${file}; ${remedy}`);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
