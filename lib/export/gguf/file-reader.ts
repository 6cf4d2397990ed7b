// A GGUF file that is read: its header, and tensors by their places in it.

import { open } from 'node:fs/promises';
import { ioError } from '../../checkpoint/io-error.js';
import { expectFully, readFully } from '../../checkpoint/read-fully.js';
import { BallastError } from '../../errors.js';
import { type HeaderValue, parseHeader, type StoredTensor } from './header.js';

/** Read at first, enough for a vocabulary of 128,000 tokens; a header that does not fit is read again with twice as much. */
const firstBytes = 1 << 24;
const maxHeaderBytes = 1 << 30;

export class GgufFile {
  private constructor(
    readonly path: string,
    /** Of the whole file. */
    readonly bytes: number,
    readonly values: Readonly<Record<string, HeaderValue>>,
    readonly tensors: ReadonlyMap<string, StoredTensor>,
  ) {}

  /** Errors: ERR_CHECKPOINT for a file that is no GGUF or ends too early, ERR_IO. */
  static async open(path: string): Promise<GgufFile> {
    try {
      await using handle = await open(path);
      const { size } = await handle.stat();
      for (let length = Math.min(size, firstBytes); ; length = Math.min(size, 2 * length)) {
        const bytes = Buffer.alloc(length);
        await expectFully(handle, bytes, 0);
        try {
          const problem = (what: string) => damagedGguf(path, what);
          const { values, tensors } = parseHeader(bytes, problem);
          return new GgufFile(path, size, values, tensors);
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          if (length === size || length >= maxHeaderBytes)
            throw damagedGguf(path, 'its header has no end');
        }
      }
    } catch (error) {
      throw ioError(error, 'reading the GGUF header', path);
    }
  }

  /** So many bytes of a tensor, from its byte `start` on. */
  async read(name: string, bytes: number, start = 0): Promise<Uint8Array> {
    const tensor = this.tensors.get(name);
    if (tensor === undefined) throw damagedGguf(this.path, `it has no tensor ${name}`);
    try {
      await using handle = await open(this.path);
      const data = new Uint8Array(bytes);
      if (await readFully(handle, data, tensor.offset + start)) return data;
      throw damagedGguf(this.path, `it ends inside tensor ${name}`);
    } catch (error) {
      throw ioError(error, `reading tensor '${name}'`, this.path);
    }
  }
}

export function damagedGguf(path: string, problem: string): BallastError {
  return new BallastError(
    'ERR_CHECKPOINT',
    `Expected a GGUF file in ${path} but ${problem}; export it again.`,
  );
}
