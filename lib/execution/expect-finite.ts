// Values that are not finite are refused as they are loaded, where file and tensor can still be named.

import { type Tensor, takeFloat64 } from '../device/index.js';
import { BallastError } from '../errors.js';
import type { Weights } from '../models/index.js';
import type { LinearWeights } from './linear-execution.js';

interface Values {
  readonly weights: Weights;
  readonly linears: ReadonlyMap<string, LinearWeights>;
}

/** Error ERR_CHECKPOINT for NaN or infinity in a block of that name; `fileOf` says where its tensors are from. */
export function expectFiniteBlock(
  block: string,
  blockTensors: readonly string[],
  { weights, linears }: Values,
  fileOf: (name: string) => string,
): Promise<void> {
  const tensors: (readonly [string, Tensor])[] = blockTensors.map((name) => [
    `${block}.${name}`,
    weights.get(name),
  ]);
  for (const [name, { weight, bias }] of linears) {
    tensors.push([`${block}.${name}.weight`, weight]);
    if (bias !== undefined) tensors.push([`${block}.${name}.bias`, bias]);
  }
  return expectFinite(tensors, fileOf);
}

/** The same of tensors by their full names. */
export async function expectFinite(
  tensors: readonly (readonly [string, Tensor])[],
  fileOf: (name: string) => string,
): Promise<void> {
  const counts = await takeFloat64(
    tensors.map(([, tensor]) => tensor.device.countNonFinite(tensor)),
  );
  for (const [i, [name]] of tensors.entries()) {
    const [count = 0] = counts[i] ?? [];
    if (count !== 0) {
      throw new BallastError(
        'ERR_CHECKPOINT',
        `${name} in ${fileOf(name)} holds ${count} values that are NaN or infinite; the checkpoint is damaged: fetch or make ` +
          'it again.',
      );
    }
  }
}
