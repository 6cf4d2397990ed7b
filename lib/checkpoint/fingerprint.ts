// Tells checkpoints apart, for the record of a run, without reading hundreds of gigabytes: SHA-256 over
// the config, every tensor's name, type and shape, and the first and last 2 KiB of its data. Tensors enter in the
// order of their names, so resharding changes nothing. It is no proof against deliberate tampering.

import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { ioError } from './io-error.js';
import { expectFully } from './read-fully.js';
import type { TensorInfo } from './tensor-info.js';

const sampleBytes = 2048;

export async function fingerprintOf(
  config: Record<string, unknown>,
  tensors: Iterable<TensorInfo>,
): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(config));
  const handles = new Map<string, FileHandle>();
  const sample = Buffer.alloc(sampleBytes);
  let current = '';
  try {
    for (const tensor of [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      hash.update(JSON.stringify([tensor.name, tensor.dtype, tensor.shape]));
      current = tensor.file;
      const handle = handles.get(tensor.file) ?? (await open(tensor.file));
      handles.set(tensor.file, handle);
      const length = Math.min(sampleBytes, tensor.bytes);
      for (const start of [tensor.offset, tensor.offset + tensor.bytes - length]) {
        await expectFully(handle, sample.subarray(0, length), start);
        hash.update(sample.subarray(0, length));
      }
    }
    return hash.digest('hex');
  } catch (error) {
    throw ioError(error, 'reading the weights', current);
  } finally {
    await Promise.all([...handles.values()].map((handle) => handle.close()));
  }
}
