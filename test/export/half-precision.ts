// 16-bit floating-point numbers by a reference of the tests' own: IEEE 754 binary16 and bfloat16, rounding half to even.

import { bytesOf } from '../../lib/export/bytes.js';
import type { Grid } from '../../lib/export/format.js';

export type ScaleDtype = Grid['scaleDtype'];

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** The bits of the nearest float16; beyond its range infinity. */
export function float16Bits(value: number): number {
  float[0] = value;
  const bits = word[0] ?? 0;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = Math.abs(float[0] ?? 0);
  if (Number.isNaN(magnitude)) return sign | 0x7e00;
  // From here on the nearest float16 is infinite.
  if (magnitude >= 65520) return sign | 0x7c00;
  // Below 2^-14 steps are 2^-24 wide: multiples of it are the bits themselves.
  if (magnitude < 2 ** -14) return sign | halfToEven(magnitude * 2 ** 24);
  const rebased = (bits & 0x7fffffff) - ((127 - 15) << 23);
  return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
}

/** The number that the bits of a float16 stand for. */
export function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Numbers as the bytes of a tensor of that type. */
export function encodeFloats(values: Float32Array, dtype: ScaleDtype): Uint8Array {
  if (dtype === 'float32') return bytesOf(values);
  if (dtype === 'float16') return bytesOf(Uint16Array.from(values, float16Bits));
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const rounded = (each: number) => (each + 0x7fff + ((each >>> 16) & 1)) >>> 16;
  return bytesOf(Uint16Array.from(bits, rounded));
}

function halfToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
