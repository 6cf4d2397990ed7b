// What was written is what was quantized: each linear's dequantized weight and bias have a digest, taken from the
// tensors that the run executed. A result carries them in ballast-export.json, so it can be read back, dequantized
// and compared at any time, also after a conversion: the digest does not depend on the format.

import type { DType } from '../device/index.js';
import { BallastError } from '../errors.js';
import { shapeOf } from '../models/index.js';
import { digestThreads, sha256 } from './digest.js';
import type { StoredLinear } from './format.js';
import type { OpenedResult } from './opened-result.js';
import type { LinearDigest } from './record.js';

/** What is digested of a linear, in memory that the digest takes over. */
export interface DigestedValues {
  readonly dtype: DType;
  readonly weight: ArrayBuffer;
  readonly bias: ArrayBuffer;
}

/**
 * Memory that weights were read into, by the linear's name: those of the next block are as large, and memory that is
 * not fresh takes them several times as fast.
 */
export type ReadMemory = Map<string, ArrayBuffer>;

/** The linear's tensors may be disposed afterwards. */
export async function valuesOf(
  { weight, bias }: Pick<StoredLinear, 'weight' | 'bias'>,
  memory?: ArrayBuffer,
): Promise<DigestedValues> {
  const zeros = () => new ArrayBuffer(weight.rows * Float32Array.BYTES_PER_ELEMENT);
  return {
    dtype: weight.dtype,
    weight: await weight.read(memory),
    bias: (await bias?.read()) ?? zeros(),
  };
}

/** Leaves the weight's memory in `memory` under `name`. */
export async function digestOf(
  { dtype, weight, bias }: DigestedValues,
  name: string,
  memory: ReadMemory,
): Promise<LinearDigest> {
  const { digest, parts } = await sha256([weight, bias]);
  if (parts[0] !== undefined) memory.set(name, parts[0]);
  return { dtype, sha256: digest };
}

/**
 * Reads every linear back and compares; returns how many there are. The next ones are read while some are digested. Error
 * ERR_CHECKPOINT for the first that differs.
 */
export async function verifyResult(
  { model, record, reader }: OpenedResult,
  onBlock: (done: number, total: number) => void = () => {},
): Promise<number> {
  let count = 0;
  const memory: ReadMemory = new Map();
  const comparing: Promise<void>[] = [];
  for (const [block, digests] of record.blocks.entries()) {
    for (const spec of shapeOf(model, block).linears) {
      const expected = digests[spec.name];
      const name = `${model.blockName(block)}.${spec.name}`;
      const stored = await reader.linear(block, spec, expected?.dtype ?? 'float32');
      const free = memory.get(spec.name);
      memory.delete(spec.name);
      const values = await valuesOf(stored, free).finally(() => disposeStored(stored));
      const digest = digestOf(values, spec.name, memory);
      const compared = digest.then((found) => expectSame(name, found, expected));
      // Told in turn.
      compared.catch(() => {});
      comparing.push(compared);
      if (comparing.length > digestThreads) await comparing.shift();
      count++;
    }
    onBlock(block + 1, model.blocks);
  }
  for (const compared of comparing) await compared;
  return count;
}

/** Error ERR_CHECKPOINT for a linear that is not the one that was quantized. */
export async function expectDigest(
  name: string,
  stored: StoredLinear,
  expected: LinearDigest | undefined,
): Promise<void> {
  expectSame(name, await digestOf(await valuesOf(stored), name, new Map()), expected);
}

function expectSame(name: string, found: LinearDigest, expected: LinearDigest | undefined): void {
  if (found.sha256 === expected?.sha256) return;
  throw new BallastError(
    'ERR_CHECKPOINT',
    `${name}: the weight or bias that was read back is not the one that was quantized; the file is damaged or was ` +
      'changed: export it again.',
  );
}

export function disposeStored({ codes, weight, bias }: StoredLinear): void {
  for (const tensor of [...Object.values(codes ?? {}), weight, bias]) tensor?.dispose();
}
