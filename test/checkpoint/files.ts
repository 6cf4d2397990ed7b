// Small checkpoints on disk for the tests of this folder, and byte-exact damaged ones.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '../places.js';

/** A safetensors file with any header text, however wrong; `length` overrides the length prefix. */
export function safetensorsBytes(header: string | object, data = Buffer.alloc(0), length?: bigint) {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(text.length));
  return Buffer.concat([prefix, text, data]);
}

/** One float32 vector `name` with these values. */
export function vectorFile(name: string, values: number[]): Buffer {
  const data = Buffer.from(new Float32Array(values).buffer);
  const entry = { dtype: 'F32', shape: [values.length], data_offsets: [0, data.length] };
  return safetensorsBytes({ [name]: entry }, data);
}

/** A model directory with the given files besides config.json. */
export async function modelDirectory(files: Record<string, Buffer | string>): Promise<string> {
  const directory = await temporaryFolder();
  for (const [name, content] of Object.entries({ 'config.json': '{}', ...files })) {
    await writeFile(join(directory, name), content);
  }
  return directory;
}
