// Tensors that a model runs as parts and a result holds as one: experts that clients know together alone.

import { Checkpoint } from '../checkpoint/checkpoint.js';
import type { PlannedTensor } from '../checkpoint/output/shard-plan.js';
import { type BlockModel, joinedParts } from '../models/index.js';

/** A result of safetensors files as its model reads it: joined tensors in their parts again. Errors: as `Checkpoint.open`. */
export async function openWritten(directory: string, model: BlockModel): Promise<Checkpoint> {
  return (await Checkpoint.open(directory)).takenApart(joinedParts(model));
}

/** With all parts of a tensor, in their order, in the place of the first. They are of one type and shape. */
export function joinParts(
  plan: readonly PlannedTensor[],
  model: BlockModel,
): readonly PlannedTensor[] {
  const parts = joinedParts(model);
  const { joinsParts: leading = 1 } = model;
  const sourceOf = new Map(parts.map(({ name, source }) => [name, source]));
  const partsOf = new Map<string, string[]>();
  for (const { name, source } of [...parts].sort((a, b) => a.firstRow - b.firstRow)) {
    partsOf.set(source, [...(partsOf.get(source) ?? []), name]);
  }
  return plan.flatMap((tensor) => {
    const name = sourceOf.get(tensor.name);
    const own = name === undefined ? undefined : partsOf.get(name);
    if (name === undefined || own === undefined) return tensor;
    if (own[0] !== tensor.name) return [];
    return { ...tensor, name, shape: joinedShape(tensor, own.length, leading), parts: own };
  });
}

/** Of so many parts of one shape; each of the leading ones holds several where there are more. */
function joinedShape({ shape }: PlannedTensor, parts: number, leading: number): number[] {
  const [rows = 1, ...rest] = shape;
  return parts === leading ? [leading, ...shape] : [leading, (parts / leading) * rows, ...rest];
}
