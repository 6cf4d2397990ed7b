// Where each tensor of a checkpoint to be written will lie, decided before a byte is written: which shard (greedy in
// the given order, as Hugging Face does) and which offset. Within a shard wide types come first, so that every
// tensor is aligned to its element size. Source: https://github.com/huggingface/safetensors, transformers naming.

import { BallastError } from '../../errors.js';
import { bytesPerElement, denseBytes, type TensorDtype, tagOf } from '../dtypes.js';

export interface PlannedTensor {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  /** Names of equal parts, one after the other, that its data come in; absent where they come whole. */
  readonly parts?: readonly string[];
}

interface Place {
  readonly name: string;
  /** Offset in the file. */
  readonly offset: number;
  readonly bytes: number;
}

interface PlacedTensor extends Place {
  /** What it is written as. */
  readonly parts: readonly Place[];
}

export interface Shard {
  readonly file: string;
  /** Length prefix and JSON, padded to 8 bytes. */
  readonly header: Uint8Array;
  readonly tensors: readonly PlacedTensor[];
  readonly fileBytes: number;
}

type Sized = PlannedTensor & { readonly bytes: number };

/** Shards of at most `maxShardBytes` of data each (a larger tensor gets its own). Error ERR_ARGUMENT for a bad plan. */
export function planShards(
  plan: readonly PlannedTensor[],
  maxShardBytes: number,
  metadata: Record<string, string>,
  baseName = 'model',
): Shard[] {
  const groups: Sized[][] = [];
  let used = Number.POSITIVE_INFINITY;
  for (const tensor of sized(plan)) {
    if (used + tensor.bytes > maxShardBytes) {
      groups.push([]);
      used = 0;
    }
    groups.at(-1)?.push(tensor);
    used += tensor.bytes;
  }
  if (groups.length === 0) groups.push([]);
  return groups.map((group, i) =>
    placeShard(shardName(baseName, i, groups.length), group, metadata),
  );
}

function shardName(baseName: string, index: number, count: number): string {
  if (count === 1) return `${baseName}.safetensors`;
  const digits = (value: number) => String(value).padStart(5, '0');
  return `${baseName}-${digits(index + 1)}-of-${digits(count)}.safetensors`;
}

function sized(plan: readonly PlannedTensor[]): Sized[] {
  const seen = new Set<string>();
  return plan.map((tensor) => {
    const bytes = denseBytes(tensor.dtype, tensor.shape);
    if (bytes === undefined || seen.has(tensor.name) || tensor.name === '__metadata__') {
      throw new BallastError(
        'ERR_ARGUMENT',
        `Expected distinct names and whole-number shapes to write but received '${tensor.name}' ` +
          `[${tensor.shape.join(', ')}]${seen.has(tensor.name) ? ' twice' : ''}.`,
      );
    }
    seen.add(tensor.name);
    return { ...tensor, bytes };
  });
}

function placeShard(file: string, group: Sized[], metadata: Record<string, string>): Shard {
  const ordered = group.toSorted((a, b) => bytesPerElement(b.dtype) - bytesPerElement(a.dtype));
  let end = 0;
  const entries: [string, unknown][] = [['__metadata__', metadata]];
  const relative = ordered.map(({ name, dtype, shape, bytes, parts }) => {
    const begin = end;
    end += bytes;
    entries.push([name, { dtype: tagOf(dtype), shape, data_offsets: [begin, end] }]);
    return { name, offset: begin, bytes, parts: parts ?? [name] };
  });
  const header = encodeHeader(JSON.stringify(Object.fromEntries(entries)));
  const start = header.length;
  const tensors = relative.map(({ parts, ...tensor }) => {
    const offset = start + tensor.offset;
    const bytes = tensor.bytes / parts.length;
    const places = parts.map((name, i) => ({ name, offset: offset + i * bytes, bytes }));
    return { ...tensor, offset, parts: places };
  });
  return { file, header, tensors, fileBytes: start + end };
}

function encodeHeader(json: string): Uint8Array {
  const length = Math.ceil(Buffer.byteLength(json) / 8) * 8;
  const header = Buffer.alloc(8 + length, ' ');
  header.writeBigUInt64LE(BigInt(length));
  header.write(json, 8);
  return header;
}
