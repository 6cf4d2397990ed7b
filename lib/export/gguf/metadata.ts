// Values of a GGUF header and how they are written: a type number, then the value, everything little-endian; strings
// and arrays begin with their length in 64 bits. Source: the GGUF specification, version 3.

export type MetadataValue =
  | { readonly type: 'uint32' | 'int32' | 'float32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'int32s' | 'float32s'; readonly value: readonly number[] };

export type Metadata = Readonly<Record<string, MetadataValue>>;

const typeNumbers = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;

export const uint32 = (value: number): MetadataValue => ({ type: 'uint32', value });
export const float32 = (value: number): MetadataValue => ({ type: 'float32', value });
export const bool = (value: boolean): MetadataValue => ({ type: 'bool', value });
export const string = (value: string): MetadataValue => ({ type: 'string', value });
export const strings = (value: readonly string[]): MetadataValue => ({ type: 'strings', value });
export const int32s = (value: readonly number[]): MetadataValue => ({ type: 'int32s', value });
export const float32s = (value: readonly number[]): MetadataValue => ({ type: 'float32s', value });

export function encodeUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function encodeUint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

export function encodeString(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([encodeUint64(bytes.length), bytes]);
}

function encodeArray(type: 'string' | 'int32' | 'float32', items: readonly Uint8Array[]): Buffer {
  const head = [typeNumbers.array, typeNumbers[type]].map(encodeUint32);
  return Buffer.concat([...head, encodeUint64(items.length), ...items]);
}

/** Type number and value. */
export function encodeValue(metadata: MetadataValue): Buffer {
  const { type, value } = metadata;
  switch (type) {
    case 'uint32':
      return Buffer.concat([encodeUint32(typeNumbers.uint32), encodeUint32(value)]);
    case 'int32':
      return Buffer.concat([encodeUint32(typeNumbers.int32), encodeInt32(value)]);
    case 'float32':
      return Buffer.concat([encodeUint32(typeNumbers.float32), encodeFloat32(value)]);
    case 'bool':
      return Buffer.concat([encodeUint32(typeNumbers.bool), Buffer.of(value ? 1 : 0)]);
    case 'string':
      return Buffer.concat([encodeUint32(typeNumbers.string), encodeString(value)]);
    case 'strings':
      return encodeArray('string', value.map(encodeString));
    case 'int32s':
      return encodeArray('int32', value.map(encodeInt32));
    case 'float32s':
      return encodeArray('float32', value.map(encodeFloat32));
  }
}

function encodeInt32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function encodeFloat32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}
