// A new file for tensors, written in pieces, each where it belongs. A large one becomes durable as it grows: at the end the
// disk would be waited for with all of it.

import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { ioError } from '../io-error.js';

/** What is known of a file before its tensors. */
interface FilePlan {
  readonly header: Uint8Array;
  /** Of the whole file. */
  readonly bytes: number;
}

const mostPendingBytes = 1 << 28;

export class OutputFile {
  /** Bytes written since the file was last made durable. */
  #pending = 0;

  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
  ) {}

  /** Error ERR_IO: unwritable, full, or there already. */
  static async create(directory: string, name: string, plan?: FilePlan): Promise<OutputFile> {
    const path = join(directory, name);
    try {
      const file = new OutputFile(path, await open(path, 'wx'));
      try {
        if (plan === undefined) return file;
        await file.#write(plan.header, 0);
        await file.handle.truncate(plan.bytes);
        return file;
      } catch (error) {
        await file.abort();
        throw error;
      }
    } catch (error) {
      throw ioError(error, `creating ${name}`, path);
    }
  }

  /** Error ERR_IO. */
  async write(tensor: string, bytes: Uint8Array, position: number): Promise<void> {
    try {
      await this.#write(bytes, position);
      this.#pending += bytes.byteLength;
      if (this.#pending <= mostPendingBytes) return;
      this.#pending = 0;
      await this.handle.datasync();
    } catch (error) {
      throw ioError(error, `writing tensor '${tensor}'`, this.path);
    }
  }

  /** Makes the file durable. */
  async close(): Promise<void> {
    try {
      await this.handle.sync();
      await this.handle.close();
    } catch (error) {
      throw ioError(error, 'finishing the file', this.path);
    }
  }

  /** Closes the file as it is; harmless after close. */
  async abort(): Promise<void> {
    await this.handle.close().catch(() => {});
  }

  async #write(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.byteLength; ) {
      const left = bytes.byteLength - done;
      done += (await this.handle.write(bytes, done, left, position + done)).bytesWritten;
    }
  }
}
