// A run's model, before any work: read from the headers of its checkpoint, under the architecture that was asked for, and refused
// where the options ask what the format cannot hold, what does not divide its channels, or what its experts cannot have.

import { Checkpoint } from '../checkpoint/checkpoint.js';
import { withFloatWeights } from '../checkpoint/float-weights.js';
import { BallastError } from '../errors.js';
import { expectTensors } from '../execution/index.js';
import { findFormat } from '../export/index.js';
import { type BlockModel, type Rewrite, readBlockModel, rewriteModel } from '../models/index.js';
import { superBlockColumns } from '../quantizers/index.js';
import { expectExperts } from './options/expect-experts.js';
import type { ResolvedOptions } from './options/options.js';

/** Errors: those of `modelOf`, ERR_UNSUPPORTED, and ERR_ARGUMENT. */
export async function openModel(directory: string, options: ResolvedOptions) {
  const found = modelOf(await Checkpoint.open(directory), options);
  await findFormat(options.format).expectModel?.(found.model, found.config, options);
  expectGroups(found.model, options);
  expectExperts(found.model, options);
  return found;
}

/**
 * The checkpoint's model and the config.json of its result, under the architecture that was asked for. Errors: those of
 * reading either, and of `expectTensors`.
 */
function modelOf(stored: Checkpoint, { architecture }: ResolvedOptions) {
  const source = withFloatWeights(stored);
  const { config, tensors } = source;
  const names = new Set(tensors.keys());
  const { parts = [], ...result }: Rewrite & { readonly model: BlockModel } =
    architecture === undefined
      ? { config, model: readBlockModel(config, names) }
      : rewriteModel(config, names, architecture);
  const checkpoint = source.takenApart([...parts, ...(result.model.parts ?? [])]);
  expectTensors(checkpoint, result.model);
  return { ...result, checkpoint };
}

/** Refuses a group size that some linear's inputs cannot be divided by, before any work. */
function expectGroups(model: BlockModel, { groupSize, superBlocks }: ResolvedOptions): void {
  if (groupSize === 0) return;
  const linears = (model.shapes ?? [model]).flatMap((shape) => shape.linears);
  const rest = linears.find(({ inChannels }) => inChannels % superBlockColumns !== 0);
  if (superBlocks && rest !== undefined) {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected input channels that ${superBlockColumns} divides for superBlocks but ${rest.name} has ${rest.inChannels}; ` +
        'without super-blocks groups of 32 may do, which format gguf holds at 4, 5 and 8 bits.',
    );
  }
  const undivided = linears.find(({ inChannels }) => inChannels % groupSize !== 0);
  if (undivided === undefined) return;
  const fitting = linears.map(({ inChannels }) => inChannels).reduce(greatestDivisor);
  throw new BallastError(
    'ERR_ARGUMENT',
    `Expected a groupSize that divides the ${undivided.inChannels} input channels of ${undivided.name} but received ` +
      `${groupSize}; choose ${fitting} or a divisor of it, which every linear's can be divided by, or 0 for one scale ` +
      'per output channel.',
  );
}

/** Of two numbers (Euclid). */
function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}
