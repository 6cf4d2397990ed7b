// The bytes of an ONNX model's constants, in a file beside the graph: ONNX calls it external data. Appended in the order
// in which tensors are ready, so memory holds one of them.

import { OutputFile } from '../../checkpoint/output/output-file.js';

export const graphFile = 'model.onnx';
export const dataFile = `${graphFile}.data`;

/** Runtimes map the file and read vectors where they lie. */
const alignment = 64;

export class DataFile {
  #end = 0;

  private constructor(private readonly file: OutputFile) {}

  /** Errors: ERR_IO. */
  static async create(directory: string): Promise<DataFile> {
    return new DataFile(await OutputFile.create(directory, dataFile));
  }

  /** Where the bytes are now. */
  async append(name: string, bytes: Uint8Array): Promise<{ location: string; offset: number }> {
    const offset = Math.ceil(this.#end / alignment) * alignment;
    this.#end = offset + bytes.length;
    await this.file.write(name, bytes, offset);
    return { location: dataFile, offset };
  }

  /** Makes the file durable. */
  close(): Promise<void> {
    return this.file.close();
  }

  /** Closes the file as it is; harmless after close. */
  abort(): Promise<void> {
    return this.file.abort();
  }
}
