// The tiny image classifiers of scripts/verify/make-tiny-vision-models.py with what transformers computed, and tensor
// files of images.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readHeader } from '../../lib/checkpoint/safetensors-header.js';

const root = fileURLToPath(new URL('tiny', import.meta.url));

export const variants = readdirSync(root).sort();

export const directoryOf = (variant: string) => join(root, variant);

/** A float32 tensor of a safetensors file. */
export async function floatsOf(file: string, name: string): Promise<Float32Array> {
  const { tensors } = await readHeader(file);
  const info = tensors.get(name);
  if (info === undefined) throw new Error(`No tensor ${name} in ${file}.`);
  const bytes = readFileSync(file);
  const begin = bytes.byteOffset + info.offset;
  return new Float32Array(bytes.buffer.slice(begin, begin + info.bytes));
}

export interface RawTensor {
  readonly dtype: 'U8' | 'I64' | 'F32';
  readonly shape: readonly number[];
  readonly data: Uint8Array | BigInt64Array | Float32Array;
}

export function writeTensors(file: string, tensors: Readonly<Record<string, RawTensor>>): void {
  let end = 0;
  const entries = Object.entries(tensors).map(([name, { dtype, shape, data }]) => {
    const begin = end;
    end += data.byteLength;
    return [name, { dtype, shape, data_offsets: [begin, end] }] as const;
  });
  const text = JSON.stringify(Object.fromEntries(entries));
  const header = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const data = Object.values(tensors).map((tensor) => new Uint8Array(tensor.data.buffer));
  writeFileSync(file, Buffer.concat([length, header, ...data]));
}
