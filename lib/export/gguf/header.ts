// The header of a GGUF file: values by name, and where tensors lie. Every length is checked against the bytes that are there
// before it is believed. Source: the GGUF specification, versions 2 and 3.

/** A value of the header; lists, such as a vocabulary, are only walked over. */
export type HeaderValue = string | number | boolean;

export interface StoredTensor {
  readonly type: number;
  /** Rows by columns. */
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file. */
  readonly offset: number;
}

interface Header {
  readonly values: Readonly<Record<string, HeaderValue>>;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

const maxDimensions = 4;
const alignment = 32;

/** Bytes of values by type number; strings (8) and lists (9) say how long they are. */
const valueBytes: readonly number[] = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
const [float32, bool, text, list, float64] = [6, 7, 8, 9, 12];
const signed = [1, 3, 5, 11];

/** `damaged` makes the error for what is wrong. Throws RangeError where the header goes on after the bytes. */
export function parseHeader(bytes: Buffer, damaged: (problem: string) => Error): Header {
  const cursor = new Cursor(bytes, damaged);
  cursor.skip(4);
  const version = bytes.subarray(0, 4).toString() === 'GGUF' ? cursor.uint32() : 0;
  if (version !== 2 && version !== 3) throw damaged('it is no GGUF of version 2 or 3');
  const count = cursor.uint64();
  const valueCount = cursor.uint64();
  const values: [string, HeaderValue][] = [];
  for (let i = 0; i < valueCount; i++) {
    const name = cursor.string();
    const value = cursor.value(cursor.uint32());
    if (value !== undefined) values.push([name, value]);
  }
  const found: [string, StoredTensor][] = [];
  for (let i = 0; i < count; i++) {
    const name = cursor.string();
    const dimensions = cursor.uint32();
    if (dimensions > maxDimensions) throw damaged(`${name} has ${dimensions} dimensions`);
    const shape = Array.from({ length: dimensions }, () => cursor.uint64()).reverse();
    found.push([name, { shape, type: cursor.uint32(), offset: cursor.uint64() }]);
  }
  const start = Math.ceil(cursor.position / alignment) * alignment;
  return {
    values: Object.fromEntries(values),
    tensors: new Map(
      found.map(([name, tensor]) => [name, { ...tensor, offset: start + tensor.offset }]),
    ),
  };
}

class Cursor {
  #at = 0;

  constructor(
    private readonly bytes: Buffer,
    private readonly damaged: (problem: string) => Error,
  ) {}

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
    // Without the bigints that a vocabulary's hundreds of thousands of lengths would take time to make.
    const low = this.uint32();
    return Math.min(this.uint32() * 2 ** 32 + low, Number.MAX_SAFE_INTEGER);
  }

  string(): string {
    const length = this.uint64();
    this.skip(length);
    return this.bytes.toString('utf8', this.#at - length, this.#at);
  }

  /** Undefined for a list. */
  value(type: number): HeaderValue | undefined {
    if (type === text) return this.string();
    if (type === list) return this.#skipList();
    const size = this.#sizeOf(type);
    this.skip(size);
    const at = this.#at - size;
    if (type === bool) return this.bytes[at] !== 0;
    // What float32 can tell, without the digits of its binary form.
    if (type === float32) return Number(this.bytes.readFloatLE(at).toPrecision(7));
    if (type === float64) return this.bytes.readDoubleLE(at);
    const isSigned = signed.includes(type);
    if (size === 8) {
      return Number(isSigned ? this.bytes.readBigInt64LE(at) : this.bytes.readBigUInt64LE(at));
    }
    return isSigned ? this.bytes.readIntLE(at, size) : this.bytes.readUIntLE(at, size);
  }

  #skipList(): undefined {
    const item = this.uint32();
    const count = this.uint64();
    if (item !== text) this.skip(count * this.#sizeOf(item));
    else for (let i = 0; i < count; i++) this.skip(this.uint64());
  }

  #sizeOf(type: number): number {
    const size = valueBytes[type] ?? 0;
    if (size === 0) throw this.damaged(`it has a value of type ${type}`);
    return size;
  }
}
