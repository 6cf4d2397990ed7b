// Reads the constants of a model that was written here back, as its nodes would see them. The graph's file is small: it
// is read whole; bytes outside it are read tensor by tensor. Every length is checked before it is believed.

import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { ioError } from '../../checkpoint/io-error.js';
import { readFully } from '../../checkpoint/read-fully.js';
import type { Device, Tensor } from '../../device/index.js';
import { BallastError } from '../../errors.js';
import type { FileDescription } from '../format.js';
import { dataFile, graphFile } from './data-file.js';
import {
  type DataType,
  dataTypes,
  elementBits,
  externalLocation,
  modelSchema,
  type NodeProto,
  type TensorProto,
} from './schema.js';

/** A graph without its weights is far below this. */
const maxGraphBytes = 1 << 28;

export class ModelFile {
  private constructor(
    private readonly directory: string,
    private readonly path: string,
    private readonly tensors: ReadonlyMap<string, TensorProto>,
    /** By the constants that they read. */
    private readonly nodes: ReadonlyMap<string, NodeProto>,
    private readonly metadata: FileDescription['metadata'],
  ) {}

  /** Errors: ERR_CHECKPOINT for a file that is no ONNX model, ERR_IO. */
  static async open(directory: string): Promise<ModelFile> {
    const path = join(directory, graphFile);
    const { graph, metadata } = await readModel(path);
    const tensors = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
    const nodes = graph.node.flatMap((node) => node.input.map((name) => [name, node] as const));
    return new ModelFile(directory, path, tensors, new Map(nodes), metadata);
  }

  get names(): ReadonlySet<string> {
    return new Set(this.tensors.keys());
  }

  has(tensor: string): boolean {
    return this.tensors.has(tensor);
  }

  /** What reads a constant. */
  readerOf(tensor: string): string | undefined {
    return this.nodes.get(tensor)?.opType;
  }

  /** Errors: ERR_CHECKPOINT for a constant that another operation reads, or with other whole numbers for attributes. */
  expectAttributes(tensor: string, op: string, expected: Readonly<Record<string, number>>): void {
    const node = this.nodes.get(tensor);
    const has = (name: string) =>
      node?.attribute.find((attribute) => attribute.name === name)?.i ===
      BigInt(expected[name] ?? 0);
    if (node?.opType === op && Object.keys(expected).every(has)) return;
    throw this.damaged(`${tensor} is not read by ${op} with ${JSON.stringify(expected)}`);
  }

  /** The bytes of a constant. Errors: ERR_CHECKPOINT for another type or shape, ERR_IO. */
  async read(
    name: string,
    type: DataType,
    shape: readonly number[],
  ): Promise<Uint8Array<ArrayBuffer>> {
    const tensor = this.tensors.get(name);
    if (tensor?.dataType !== dataTypes[type] || `${tensor.dims}` !== `${shape}`) {
      throw this.damaged(`${name} is not ${type} [${shape}]`);
    }
    const length = bytesIn(type, shape);
    const bytes =
      tensor.dataLocation === externalLocation
        ? await this.#readExternal(tensor, length)
        : new Uint8Array(tensor.rawData);
    if (bytes.length !== length) throw this.damaged(`${name} holds ${bytes.length} bytes`);
    return bytes;
  }

  async floats(name: string, shape: readonly number[]): Promise<Float32Array> {
    // A copy: offsets of tensors in a file need not be aligned.
    const { buffer } = (await this.read(name, 'float32', shape)).slice();
    return new Float32Array(buffer);
  }

  /** A constant of float32, as it is. Queued; its bytes never come here. Error ERR_CHECKPOINT where there is none. */
  upload(device: Device, name: string): Tensor {
    const tensor = this.tensors.get(name);
    if (tensor?.dataType !== dataTypes.float32) throw this.damaged(`${name} is not float32`);
    const shape = tensor.dims.map(Number);
    if (tensor.dataLocation !== externalLocation) {
      return device.upload('float32', shape, new Uint8Array(tensor.rawData));
    }
    const path = join(this.directory, dataFile);
    return device.uploadFile('float32', shape, path, this.#offsetOf(tensor));
  }

  /** Its constants. Error ERR_CHECKPOINT for one of a type that no result has, or beyond the end of its file. */
  async describe(): Promise<FileDescription> {
    const path = join(this.directory, dataFile);
    const { size } = await stat(path).catch((error: unknown) => {
      throw ioError(error, 'reading the constants', path);
    });
    const tensors = Array.from(this.tensors.values(), (tensor) => {
      const { name, dataType, dataLocation, rawData } = tensor;
      const dtype = typeNames.get(dataType);
      if (dtype === undefined) throw this.damaged(`${name} has type ${dataType}`);
      const shape = tensor.dims.map(Number);
      if (shape.some((extent) => extent < 0)) throw this.damaged(`${name} is [${shape}]`);
      const bytes = bytesIn(dtype, shape);
      const isExternal = dataLocation === externalLocation;
      const end = isExternal ? this.#offsetOf(tensor) + bytes : bytes;
      if (end > (isExternal ? size : rawData.length)) {
        throw damagedFile(isExternal ? path : this.path, `it ends inside tensor ${name}`);
      }
      return { dtype, shape, bytes };
    });
    return { file: graphFile, tensors, metadata: this.metadata };
  }

  damaged(problem: string): BallastError {
    return damagedFile(this.path, problem);
  }

  #offsetOf({ name, externalData }: TensorProto): number {
    const entries = new Map(externalData.map(({ key, value }) => [key, value]));
    const offset = Number(entries.get('offset'));
    const isPlace = Number.isSafeInteger(offset) && offset >= 0;
    if (entries.get('location') !== dataFile || !isPlace) {
      throw this.damaged(`${name} lies in ${entries.get('location')} at ${entries.get('offset')}`);
    }
    return offset;
  }

  async #readExternal(tensor: TensorProto, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const { name } = tensor;
    const offset = this.#offsetOf(tensor);
    const path = join(this.directory, dataFile);
    try {
      await using handle = await open(path);
      if ((await handle.stat()).size < offset + length) {
        throw damagedFile(path, `it ends inside tensor ${name}`);
      }
      const bytes = new Uint8Array(length);
      if (await readFully(handle, bytes, offset)) return bytes;
      throw damagedFile(path, `it ends inside tensor ${name}`);
    } catch (error) {
      throw ioError(error, `reading tensor '${name}'`, path);
    }
  }
}

const typeNames: ReadonlyMap<number, DataType> = new Map(
  (Object.keys(dataTypes) as DataType[]).map((type) => [dataTypes[type], type]),
);

function bytesIn(type: DataType, shape: readonly number[]): number {
  const elements = shape.reduce((product, extent) => product * extent, 1);
  return Math.ceil((elements * elementBits[type]) / 8);
}

async function readModel(path: string) {
  try {
    if ((await stat(path)).size > maxGraphBytes) throw damagedFile(path, 'its graph is too large');
    const model = fromBinary(modelSchema, await readFile(path));
    const { graph, irVersion, producerName, opsetImport } = model;
    if (graph === undefined) throw damagedFile(path, 'it has no graph');
    const opsets = opsetImport.map(({ domain, version }) => [
      `opset ${domain || 'ai.onnx'}`,
      version,
    ]);
    return {
      graph,
      metadata: {
        'IR version': Number(irVersion),
        producer: producerName,
        ...Object.fromEntries(opsets.map(([name, version]) => [name, Number(version)])),
        nodes: graph.node.length,
      },
    };
  } catch (error) {
    if (error instanceof Error && 'code' in error) throw ioError(error, 'reading the graph', path);
    throw damagedFile(path, 'it is no ONNX model');
  }
}

function damagedFile(path: string, problem: string): BallastError {
  return new BallastError(
    'ERR_CHECKPOINT',
    `Expected ${path} to be as it was exported but ${problem}; export it again.`,
  );
}
