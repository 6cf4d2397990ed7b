// Writes a GGUF file whose tensors are known beforehand: the header first, then each tensor at its planned place, in
// whatever order it is ready, so memory holds one tensor. Source: the GGUF specification, version 3.

import { OutputFile } from '../../checkpoint/output/output-file.js';
import { UnwrittenTensors } from '../../checkpoint/output/unwritten-tensors.js';
import {
  encodeString,
  encodeUint32,
  encodeUint64,
  encodeValue,
  type Metadata,
} from './metadata.js';

export interface GgufTensor {
  readonly name: string;
  /** Rows by columns, as everywhere here; the file names the columns first. */
  readonly shape: readonly number[];
  /** ggml's number for the type. */
  readonly type: number;
  readonly bytes: number;
}

interface Place {
  readonly offset: number;
  readonly bytes: number;
}

const version = 3;
/** The format's own default. */
const alignment = 32;

const aligned = (bytes: number) => Math.ceil(bytes / alignment) * alignment;

export class GgufFileWriter {
  private constructor(
    private readonly file: OutputFile,
    private readonly unwritten: UnwrittenTensors<Place>,
  ) {}

  static async create(
    directory: string,
    file: string,
    metadata: Metadata,
    tensors: readonly GgufTensor[],
  ): Promise<GgufFileWriter> {
    const header = encodeHeader(metadata, tensors);
    const places: (readonly [string, Place])[] = [];
    let end = aligned(header.length);
    for (const { name, bytes } of tensors) {
      places.push([name, { offset: end, bytes }]);
      end += aligned(bytes);
    }
    const output = await OutputFile.create(directory, file, { header, bytes: end });
    return new GgufFileWriter(output, new UnwrittenTensors(places));
  }

  /** The data of one planned tensor, once. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    await this.unwritten.write(name, bytes, ({ offset }) => this.file.write(name, bytes, offset));
  }

  /** Makes the file durable. Error ERR_ARGUMENT when a planned tensor was never written. */
  async close(): Promise<void> {
    this.unwritten.expectAllWritten();
    await this.file.close();
  }

  /** Closes the file as it is; harmless after close. */
  abort(): Promise<void> {
    return this.file.abort();
  }
}

function encodeHeader(metadata: Metadata, tensors: readonly GgufTensor[]): Buffer {
  const values = Object.entries(metadata);
  const parts = [
    Buffer.from('GGUF'),
    encodeUint32(version),
    encodeUint64(tensors.length),
    encodeUint64(values.length),
    ...values.flatMap(([key, value]) => [encodeString(key), encodeValue(value)]),
  ];
  let offset = 0;
  for (const { name, shape, type, bytes } of tensors) {
    const extents = [...shape].reverse();
    parts.push(encodeString(name), encodeUint32(extents.length), ...extents.map(encodeUint64));
    parts.push(encodeUint32(type), encodeUint64(offset));
    offset += aligned(bytes);
  }
  return Buffer.concat(parts);
}
