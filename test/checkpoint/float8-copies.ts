// A bfloat16 checkpoint with its linears as float8_e4m3fn beside scales, and the same with what these stand for, by
// arithmetic of the tests' own. Tensors have the same order in both.

import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { tagOf } from '../../lib/checkpoint/dtypes.js';
import { readTensor } from '../../lib/checkpoint/read-tensor.js';
import { bytesOf } from '../../lib/export/bytes.js';
import { encodeFloats } from '../export/half-precision.js';
import { temporaryFolder } from '../places.js';
import { safetensorsBytes } from './files.js';

export interface Float8Copy {
  readonly quantization: Record<string, unknown>;
  /** Rows and columns of a block; 0 for all. */
  readonly block: readonly [number, number];
  /** Of the scales' names. */
  readonly suffix: string;
  readonly scaleDtype?: 'float32' | 'bfloat16';
}

export const inBlocks: Float8Copy = {
  quantization: { quant_method: 'fp8', fmt: 'e4m3', weight_block_size: [48, 40] },
  block: [48, 40],
  suffix: '_scale_inv',
};

interface Entry {
  readonly name: string;
  readonly tag: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Finite ones from 0 up, by code. */
const values = Array.from({ length: 0x7f }, (_, code) => {
  const [exponent, mantissa] = [code >> 3, code & 7];
  return exponent === 0 ? mantissa * 2 ** -9 : (8 + mantissa) * 2 ** (exponent - 10);
});

function nearestCode(x: number): number {
  let best = 0;
  for (const [code, value] of values.entries()) {
    if (Math.abs(value - Math.abs(x)) < Math.abs((values[best] ?? 0) - Math.abs(x))) best = code;
  }
  return x < 0 ? best | 0x80 : best;
}

function fromBfloat16(bytes: Uint8Array): Float32Array {
  const words = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  return new Float32Array(Uint32Array.from(words, (word) => word << 16).buffer);
}

/** Codes and scales of a matrix, and the floats that they stand for. */
function quantized(weights: Float32Array, shape: readonly number[], copy: Float8Copy) {
  const [out = 0, columns = 0] = shape;
  const [rows, width] = [copy.block[0] || out, copy.block[1] || columns];
  const grid = [Math.ceil(out / rows), Math.ceil(columns / width)] as const;
  const blockOf = (i: number) =>
    Math.floor(Math.floor(i / columns) / rows) * grid[1] + Math.floor((i % columns) / width);
  const largest = new Float32Array(grid[0] * grid[1]);
  weights.forEach((x, i) => {
    largest[blockOf(i)] = Math.max(largest[blockOf(i)] ?? 0, Math.abs(x));
  });
  const { scaleDtype = 'float32' } = copy;
  const stored = encodeFloats(
    largest.map((x) => x / 448),
    scaleDtype,
  );
  const scales =
    scaleDtype === 'float32'
      ? new Float32Array(stored.buffer, stored.byteOffset, largest.length)
      : fromBfloat16(stored);
  const codes = Uint8Array.from(weights, (x, i) => nearestCode(x / (scales[blockOf(i)] ?? 1)));
  const floats = Float32Array.from(codes, (code, i) => {
    const value = (values[code & 0x7f] ?? Number.NaN) * (scales[blockOf(i)] ?? 1);
    return code & 0x80 ? -value : value;
  });
  return { codes, scales: stored, grid, floats };
}

/** Writes both below a temporary folder. `edit` changes the FP8 one's tensors. */
export async function float8Copies(
  source: Checkpoint,
  copy: Float8Copy = inBlocks,
  edit: (entries: Entry[]) => Entry[] = (entries) => entries,
): Promise<{ stored: string; float: string }> {
  const folder = await temporaryFolder();
  const [stored, float] = [join(folder, 'stored'), join(folder, 'float')];
  const { scaleDtype = 'float32', suffix, quantization } = copy;
  const ofStored: Entry[] = [];
  const ofFloat: Entry[] = [];
  for (const info of source.tensors.values()) {
    const { name, shape, dtype } = info;
    const bytes = new Uint8Array(await readTensor(info));
    if (!/_proj\.weight$/.test(name)) {
      const entry = { name, tag: tagOf(dtype), shape, bytes };
      ofStored.push(entry);
      ofFloat.push(entry);
      continue;
    }
    const { codes, scales, grid, floats } = quantized(fromBfloat16(bytes), shape, copy);
    ofStored.push({ name, tag: 'F8_E4M3', shape, bytes: codes });
    ofStored.push({ name: name + suffix, tag: tagOf(scaleDtype), shape: grid, bytes: scales });
    ofFloat.push({ name, tag: 'BF16', shape, bytes: encodeFloats(floats, 'bfloat16') });
  }
  const { quantization_config: _none, ...config } = source.config;
  await write(source, float, config, ofFloat);
  const announced = { ...config, quantization_config: quantization };
  await write(source, stored, announced, edit(ofStored));
  return { stored, float };
}

async function write(source: Checkpoint, directory: string, config: object, entries: Entry[]) {
  await mkdir(directory);
  const header: Record<string, object> = {};
  let end = 0;
  for (const { name, tag, shape, bytes } of entries) {
    header[name] = { dtype: tag, shape, data_offsets: [end, end + bytes.byteLength] };
    end += bytes.byteLength;
  }
  const data = Buffer.concat(entries.map(({ bytes }) => bytesOf(bytes)));
  await writeFile(join(directory, 'model.safetensors'), safetensorsBytes(header, data));
  await writeFile(join(directory, 'config.json'), JSON.stringify(config));
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    await cp(join(source.directory, name), join(directory, name));
  }
}
