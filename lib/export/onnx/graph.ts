// An ONNX graph as it grows: nodes in the order of execution, and constants. What is small lies in the graph itself;
// everything else goes to a file beside it as soon as it comes, so that no model is in memory and no message reaches
// protobuf's 2 GB. Opset 21 has 4-bit integers; MatMulNBits is ONNX Runtime's own.

import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { bytesOf } from '../bytes.js';
import type { DataFile } from './data-file.js';
import {
  attributeTypes,
  type DataType,
  dataTypes,
  externalLocation,
  modelSchema,
} from './schema.js';

type GraphInit = NonNullable<MessageInitShape<typeof modelSchema>['graph']>;
type NodeInit = NonNullable<GraphInit['node']>[number];
type TensorInit = NonNullable<GraphInit['initializer']>[number];
type AttributeInit = NonNullable<NodeInit['attribute']>[number];

/** Whole numbers, lists of them and text as they are; floating-point numbers in an object. */
export type Attribute = number | readonly number[] | string | { readonly float: number };

/** An input or output of the model: float32, its first dimension the batch. */
export interface Port {
  readonly name: string;
  /** Without the batch. */
  readonly shape: readonly number[];
}

const irVersion = 10n;
const opset = 21n;
export const runtimeDomain = 'com.microsoft';

/** Bytes of a constant that stays in the graph: shapes, scalars, and other things that shape inference reads. */
const inlineBytes = 1024;

const encodings = {
  float32: (values: readonly number[]) => Float32Array.from(values),
  int64: (values: readonly number[]) => BigInt64Array.from(values, BigInt),
  uint8: (values: readonly number[]) => Uint8Array.from(values),
};

export class Graph {
  readonly #nodes: NodeInit[] = [];
  readonly #initializers: TensorInit[] = [];
  readonly #names = new Map<string, number>();

  constructor(private readonly data: DataFile) {}

  /** Appends a node and returns its output; `scope` is what its name begins with. */
  node(
    scope: string,
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = '',
  ): string {
    const name = this.#unique(`${scope}/${op}`);
    this.#nodes.push({
      name,
      opType: op,
      input: [...inputs],
      output: [name],
      attribute: Object.entries(attributes).map(attributeOf),
      ...(domain === '' ? {} : { domain }),
    });
    return name;
  }

  /** A constant of the model, under its own name. */
  async tensor(
    name: string,
    type: DataType,
    shape: readonly number[],
    bytes: Uint8Array,
  ): Promise<string> {
    const tensor = { name, dataType: dataTypes[type], dims: shape.map(BigInt) };
    if (bytes.length <= inlineBytes) {
      this.#initializers.push({ ...tensor, rawData: bytes.slice() });
      return name;
    }
    const { location, offset } = await this.data.append(name, bytes);
    const entries = { location, offset, length: bytes.length };
    const externalData = Object.entries(entries).map(([key, value]) => ({
      key,
      value: `${value}`,
    }));
    this.#initializers.push({ ...tensor, externalData, dataLocation: externalLocation });
    return name;
  }

  /** Such a constant of float32 values; a vector unless `shape` says otherwise. */
  floats(
    name: string,
    values: Float32Array,
    shape: readonly number[] = [values.length],
  ): Promise<string> {
    return this.tensor(name, 'float32', shape, bytesOf(values));
  }

  /** And of whole numbers, int64. */
  integers(name: string, values: Int32Array): Promise<string> {
    const bytes = bytesOf(BigInt64Array.from(values, BigInt));
    return this.tensor(name, 'int64', [values.length], bytes);
  }

  /** A small constant that a node reads: one value, or a list of them. */
  constant(scope: string, type: keyof typeof encodings, value: number | readonly number[]): string {
    const name = this.#unique(scope);
    const list = typeof value === 'number' ? [value] : value;
    this.#initializers.push({
      name,
      dataType: dataTypes[type],
      dims: typeof value === 'number' ? [] : [BigInt(list.length)],
      rawData: new Uint8Array(encodings[type](list).buffer),
    });
    return name;
  }

  /** The file's bytes: `output` is the value that the last node made, under the name of `result`. */
  encode(input: Port, output: string, result: Port): Uint8Array {
    this.#nodes.push({
      name: result.name,
      opType: 'Identity',
      input: [output],
      output: [result.name],
    });
    const model = create(modelSchema, {
      irVersion,
      producerName: 'ballast',
      opsetImport: [
        { domain: '', version: opset },
        { domain: runtimeDomain, version: 1n },
      ],
      graph: {
        name: 'ballast',
        node: this.#nodes,
        initializer: this.#initializers,
        input: [valueInfo(input)],
        output: [valueInfo(result)],
      },
    });
    return toBinary(modelSchema, model);
  }

  #unique(name: string): string {
    const used = this.#names.get(name) ?? 0;
    this.#names.set(name, used + 1);
    return used === 0 ? name : `${name}_${used}`;
  }
}

function attributeOf([name, value]: [string, Attribute]): AttributeInit {
  if (typeof value === 'number') return { name, type: attributeTypes.int, i: BigInt(value) };
  if (typeof value === 'string') {
    return { name, type: attributeTypes.string, s: new TextEncoder().encode(value) };
  }
  if ('float' in value) return { name, type: attributeTypes.float, f: value.float };
  return { name, type: attributeTypes.ints, ints: value.map(BigInt) };
}

function valueInfo({ name, shape }: Port) {
  const dim = [{ dimParam: 'batch' }, ...shape.map((extent) => ({ dimValue: BigInt(extent) }))];
  return { name, type: { tensorType: { elemType: dataTypes.float32, shape: { dim } } } };
}
