// Values of a GGUF header and how they are written: a type number, then the value, everything little-endian; strings
// and arrays begin with their length in 64 bits. Source: the GGUF specification, version 3. Plain JavaScript, because a
// worker thread encodes the tokenizer's, of which there are hundreds of thousands.

/**
 * `encoded` are the bytes that `encodeValue` has made of another.
 *
 * @typedef {{ readonly type: 'uint32' | 'int32' | 'float32', readonly value: number }
 *   | { readonly type: 'bool', readonly value: boolean }
 *   | { readonly type: 'string', readonly value: string }
 *   | { readonly type: 'strings', readonly value: readonly string[] }
 *   | { readonly type: 'int32s' | 'float32s', readonly value: readonly number[] }
 *   | { readonly type: 'bools', readonly value: readonly boolean[] }
 *   | { readonly type: 'encoded', readonly value: Uint8Array }} MetadataValue
 * @typedef {Readonly<Record<string, MetadataValue>>} Metadata
 */

const typeNumbers = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 };

/** @type {(value: number) => MetadataValue} */
export const uint32 = (value) => ({ type: 'uint32', value });
/** @type {(value: number) => MetadataValue} */
export const float32 = (value) => ({ type: 'float32', value });
/** @type {(value: boolean) => MetadataValue} */
export const bool = (value) => ({ type: 'bool', value });
/** @type {(value: string) => MetadataValue} */
export const string = (value) => ({ type: 'string', value });
/** @type {(value: readonly string[]) => MetadataValue} */
export const strings = (value) => ({ type: 'strings', value });
/** @type {(value: readonly number[]) => MetadataValue} */
export const int32s = (value) => ({ type: 'int32s', value });
/** @type {(value: readonly number[]) => MetadataValue} */
export const float32s = (value) => ({ type: 'float32s', value });
/** @type {(value: readonly boolean[]) => MetadataValue} */
export const bools = (value) => ({ type: 'bools', value });

/** @param {number} value */
export function encodeUint32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** @param {number} value */
export function encodeUint64(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** @param {string} text */
export function encodeString(text) {
  return encodeStrings([text]);
}

/**
 * One after the other, in one piece of memory.
 * @param {readonly string[]} texts
 */
function encodeStrings(texts) {
  const lengthBytes = 8;
  const total = texts.reduce((sum, text) => sum + lengthBytes + Buffer.byteLength(text), 0);
  const bytes = Buffer.alloc(total);
  let at = 0;
  for (const text of texts) {
    const length = bytes.write(text, at + lengthBytes);
    // The upper half stays zero: no buffer is as long.
    bytes.writeUInt32LE(length, at);
    at += lengthBytes + length;
  }
  return bytes;
}

/**
 * @param {'string' | 'int32' | 'float32' | 'bool'} type
 * @param {number} count
 * @param {Uint8Array} items
 */
function encodeArray(type, count, items) {
  const head = [typeNumbers.array, typeNumbers[type]].map(encodeUint32);
  return Buffer.concat([...head, encodeUint64(count), items]);
}

/**
 * Type number and value.
 * @param {MetadataValue} metadata
 * @returns {Uint8Array}
 */
export function encodeValue(metadata) {
  const { type, value } = metadata;
  switch (type) {
    case 'uint32':
      return Buffer.concat([encodeUint32(typeNumbers.uint32), encodeUint32(value)]);
    case 'int32':
      return Buffer.concat([encodeUint32(typeNumbers.int32), encodeInt32s([value])]);
    case 'float32':
      return Buffer.concat([encodeUint32(typeNumbers.float32), encodeFloat32s([value])]);
    case 'bool':
      return Buffer.concat([encodeUint32(typeNumbers.bool), Buffer.of(value ? 1 : 0)]);
    case 'string':
      return Buffer.concat([encodeUint32(typeNumbers.string), encodeString(value)]);
    case 'strings':
      return encodeArray('string', value.length, encodeStrings(value));
    case 'int32s':
      return encodeArray('int32', value.length, encodeInt32s(value));
    case 'float32s':
      return encodeArray('float32', value.length, encodeFloat32s(value));
    case 'bools':
      return encodeArray('bool', value.length, Buffer.from(value.map(Number)));
    case 'encoded':
      return value;
  }
}

/** @param {readonly number[]} values */
function encodeInt32s(values) {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => void bytes.writeInt32LE(value, 4 * i));
  return bytes;
}

/** @param {readonly number[]} values */
function encodeFloat32s(values) {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => void bytes.writeFloatLE(value, 4 * i));
  return bytes;
}
