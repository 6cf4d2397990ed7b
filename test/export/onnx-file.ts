// An ONNX model as it lies on disk, read with nothing of the library: the protobuf wire format field by field, by the
// numbers of onnx.proto, and the constants in the file beside it.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Numbers, row by row. */
export interface Value {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export interface Constant extends Value {
  readonly type: string;
  /** Whether its bytes lie in the graph's own file. */
  readonly inline: boolean;
}

export interface OnnxNode {
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes: Readonly<Record<string, number | readonly number[] | string>>;
}

export interface OnnxFile {
  readonly irVersion: number;
  readonly opsets: Readonly<Record<string, number>>;
  /** Extents by name; undefined where they are open. */
  readonly input: readonly [name: string, shape: readonly (number | undefined)[]];
  readonly output: readonly [name: string, shape: readonly (number | undefined)[]];
  readonly nodes: readonly OnnxNode[];
  readonly constants: ReadonlyMap<string, Constant>;
}

type Field = bigint | number | Uint8Array;

/** Every value of every field. */
class Message {
  readonly #fields = new Map<number, Field[]>();

  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    const varint = () => {
      let value = 0n;
      for (let shift = 0n; ; shift += 7n) {
        const byte = view.getUint8(at++);
        value |= BigInt(byte & 127) << shift;
        if (byte < 128) return BigInt.asIntN(64, value);
      }
    };
    const field = (wire: number): Field => {
      if (wire === 0) return varint();
      const length = wire === 2 ? Number(varint()) : 4;
      at += length;
      if (wire === 2) return bytes.subarray(at - length, at);
      if (wire === 5) return view.getFloat32(at - length, true);
      throw new RangeError(`Wire type ${wire}.`);
    };
    while (at < bytes.length) {
      const tag = Number(varint());
      const values = this.#fields.get(tag >> 3) ?? [];
      values.push(field(tag & 7));
      this.#fields.set(tag >> 3, values);
    }
  }

  numbers(field: number): number[] {
    return (this.#fields.get(field) ?? []).map(Number);
  }

  number(field: number): number {
    return this.numbers(field)[0] ?? 0;
  }

  bytes(field: number): Uint8Array[] {
    return (this.#fields.get(field) ?? []) as Uint8Array[];
  }

  strings(field: number): string[] {
    return this.bytes(field).map((bytes) => Buffer.from(bytes).toString());
  }

  string(field: number): string {
    return this.strings(field)[0] ?? '';
  }

  messages(field: number): Message[] {
    return this.bytes(field).map((bytes) => new Message(bytes));
  }

  has(field: number): boolean {
    return this.#fields.has(field);
  }
}

const types: Readonly<Record<number, string>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  7: 'int64',
  21: 'uint4',
  22: 'int4',
};

function decode(type: string, bytes: Uint8Array, count: number): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const nibble = (i: number) => (view.getUint8(i >> 1) >> (4 * (i & 1))) & 15;
  const read: Readonly<Record<string, (i: number) => number>> = {
    float32: (i) => view.getFloat32(4 * i, true),
    uint8: (i) => view.getUint8(i),
    int8: (i) => view.getInt8(i),
    int64: (i) => Number(view.getBigInt64(8 * i, true)),
    uint4: nibble,
    int4: (i) => (nibble(i) ^ 8) - 8,
  };
  const item = read[type];
  if (item === undefined) throw new RangeError(`Constants of ${type}.`);
  return Float64Array.from({ length: count }, (_, i) => item(i));
}

function attribute(message: Message): [string, number | number[] | string] {
  const kinds: Readonly<Record<number, () => number | number[] | string>> = {
    1: () => message.number(2),
    2: () => message.number(3),
    3: () => message.string(4),
    7: () => message.numbers(8),
  };
  const value = kinds[message.number(20)];
  if (value === undefined) throw new RangeError(`Attribute of type ${message.number(20)}.`);
  return [message.string(1), value()];
}

function port(message: Message): [string, (number | undefined)[]] {
  const [shape] = message.messages(2)[0]?.messages(1)[0]?.messages(2) ?? [];
  const extents = shape?.messages(1).map((dim) => (dim.has(1) ? dim.number(1) : undefined)) ?? [];
  return [message.string(1), extents];
}

export function readOnnx(directory: string): OnnxFile {
  const model = new Message(readFileSync(join(directory, 'model.onnx')));
  const beside = join(directory, 'model.onnx.data');
  const external = existsSync(beside) ? readFileSync(beside) : Buffer.alloc(0);
  const [graph] = model.messages(7);
  const [input] = graph?.messages(11) ?? [];
  const [output] = graph?.messages(12) ?? [];
  if (graph === undefined || input === undefined || output === undefined) throw new RangeError();
  const constants = graph.messages(5).map((tensor) => {
    const shape = tensor.numbers(1);
    const type = types[tensor.number(2)] ?? '';
    const place = new Map(tensor.messages(13).map((entry) => [entry.string(1), entry.string(2)]));
    const offset = Number(place.get('offset'));
    const inline = tensor.number(14) === 0;
    const bytes = inline
      ? (tensor.bytes(9)[0] ?? new Uint8Array())
      : external.subarray(offset, offset + Number(place.get('length')));
    const count = shape.reduce((product, extent) => product * extent, 1);
    return [tensor.string(8), { shape, type, inline, data: decode(type, bytes, count) }] as const;
  });
  return {
    irVersion: model.number(1),
    opsets: Object.fromEntries(model.messages(8).map((set) => [set.string(1), set.number(2)])),
    input: port(input),
    output: port(output),
    nodes: graph.messages(1).map((node) => ({
      op: node.string(4),
      domain: node.string(7),
      inputs: node.strings(1),
      output: node.string(2),
      attributes: Object.fromEntries(node.messages(5).map(attribute)),
    })),
    constants: new Map(constants),
  };
}
