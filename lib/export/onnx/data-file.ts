// The bytes of an ONNX model's constants, in a file beside the graph: ONNX calls it external data. Appended in the order
// in which tensors are ready, so memory holds one of them.

import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { ioError } from '../../checkpoint/io-error.js';

export const graphFile = 'model.onnx';
export const dataFile = `${graphFile}.data`;

/** Runtimes map the file and read vectors where they lie. */
const alignment = 64;

export class DataFile {
  #end = 0;

  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
  ) {}

  /** Errors: ERR_IO. */
  static async create(directory: string): Promise<DataFile> {
    const path = join(directory, dataFile);
    try {
      return new DataFile(path, await open(path, 'wx'));
    } catch (error) {
      throw ioError(error, `creating ${dataFile}`, path);
    }
  }

  /** Where the bytes are now. */
  async append(name: string, bytes: Uint8Array): Promise<{ location: string; offset: number }> {
    const offset = Math.ceil(this.#end / alignment) * alignment;
    this.#end = offset + bytes.length;
    try {
      for (let done = 0; done < bytes.length; ) {
        const left = bytes.length - done;
        done += (await this.handle.write(bytes, done, left, offset + done)).bytesWritten;
      }
      return { location: dataFile, offset };
    } catch (error) {
      throw ioError(error, `writing tensor '${name}'`, this.path);
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
}
