// Finds the tensors of a GGUF file: what verification reads back. Metadata is only walked over. Every length is
// checked against the file before it is believed. Source: the GGUF specification, versions 2 and 3.

import { open } from 'node:fs/promises';
import { ioError } from '../../checkpoint/io-error.js';
import { BallastError } from '../../errors.js';

export interface StoredTensor {
  readonly type: number;
  /** Rows by columns. */
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file. */
  readonly offset: number;
}

/** Read at first; a header that does not fit is read again with twice as much. */
const firstBytes = 1 << 22;
const maxHeaderBytes = 1 << 30;
const maxDimensions = 4;

/** Bytes of values by type number; strings (8) and arrays (9) have none. */
const valueBytes: readonly number[] = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];

export class GgufFile {
  private constructor(
    readonly path: string,
    readonly tensors: ReadonlyMap<string, StoredTensor>,
  ) {}

  /** Errors: ERR_CHECKPOINT for a file that is no GGUF or ends too early, ERR_IO. */
  static async open(path: string): Promise<GgufFile> {
    try {
      await using handle = await open(path);
      const { size } = await handle.stat();
      for (let length = Math.min(size, firstBytes); ; length = Math.min(size, 2 * length)) {
        const bytes = Buffer.alloc(length);
        await handle.read(bytes, 0, length, 0);
        try {
          return new GgufFile(path, parseHeader(bytes));
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          if (length === size || length >= maxHeaderBytes)
            throw damaged(path, 'its header has no end');
        }
      }
    } catch (error) {
      throw ioError(error, 'reading the GGUF header', path);
    }
  }

  /** The first `bytes` bytes of a tensor. */
  async read(name: string, bytes: number): Promise<Uint8Array> {
    const tensor = this.tensors.get(name);
    if (tensor === undefined) throw damaged(this.path, `it has no tensor ${name}`);
    try {
      await using handle = await open(this.path);
      const data = new Uint8Array(bytes);
      for (let done = 0; done < bytes; ) {
        const left = bytes - done;
        const { bytesRead } = await handle.read(data, done, left, tensor.offset + done);
        if (bytesRead === 0) throw damaged(this.path, `it ends inside tensor ${name}`);
        done += bytesRead;
      }
      return data;
    } catch (error) {
      throw ioError(error, `reading tensor '${name}'`, this.path);
    }
  }
}

/** Throws RangeError where the bytes end. */
class Cursor {
  #at = 0;

  constructor(private readonly bytes: Buffer) {}

  get position(): number {
    return this.#at;
  }

  skip(count: number): void {
    if (count > this.bytes.length - this.#at) throw new RangeError('The bytes end here.');
    this.#at += count;
  }

  uint32(): number {
    this.skip(4);
    return this.bytes.readUInt32LE(this.#at - 4);
  }

  /** Lengths and offsets; one beyond what a number holds cannot be in any file. */
  uint64(): number {
    this.skip(8);
    const value = this.bytes.readBigUInt64LE(this.#at - 8);
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
  }

  string(): string {
    const length = this.uint64();
    this.skip(length);
    return this.bytes.toString('utf8', this.#at - length, this.#at);
  }

  skipValue(type: number): void {
    if (type === 8) this.skip(this.uint64());
    else if (type !== 9) this.skip(valueBytes[type] ?? 0);
    else {
      const item = this.uint32();
      const count = this.uint64();
      if (item !== 8) this.skip(count * (valueBytes[item] ?? 0));
      else for (let i = 0; i < count; i++) this.skip(this.uint64());
    }
  }
}

function parseHeader(bytes: Buffer): Map<string, StoredTensor> {
  const cursor = new Cursor(bytes);
  cursor.skip(4);
  const version = bytes.subarray(0, 4).toString() === 'GGUF' ? cursor.uint32() : 0;
  if (version !== 2 && version !== 3) throw damaged('the file', 'it is no GGUF of version 2 or 3');
  const count = cursor.uint64();
  const values = cursor.uint64();
  for (let i = 0; i < values; i++) {
    cursor.skip(cursor.uint64());
    cursor.skipValue(cursor.uint32());
  }
  const found: [string, StoredTensor][] = [];
  for (let i = 0; i < count; i++) {
    const name = cursor.string();
    const dimensions = cursor.uint32();
    if (dimensions > maxDimensions)
      throw damaged('the file', `${name} has ${dimensions} dimensions`);
    const shape = Array.from({ length: dimensions }, () => cursor.uint64()).reverse();
    found.push([name, { shape, type: cursor.uint32(), offset: cursor.uint64() }]);
  }
  const start = Math.ceil(cursor.position / 32) * 32;
  return new Map(
    found.map(([name, tensor]) => [name, { ...tensor, offset: start + tensor.offset }]),
  );
}

function damaged(path: string, problem: string): BallastError {
  return new BallastError(
    'ERR_CHECKPOINT',
    `Expected a GGUF file in ${path} but ${problem}; export it again.`,
  );
}
