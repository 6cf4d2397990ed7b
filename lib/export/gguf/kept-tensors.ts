// The tensors outside linears: embedding and head as 16-bit floats, norms and routers as 32-bit floats, under llama.cpp's names.

import type { BlockModel } from '../../models/index.js';
import type { ExportInput } from '../format.js';
import type { GgufLayout } from './layout.js';
import { globalNames } from './names.js';

/** ggml's numbers of the types that are no blocks. */
export const floatTypes = { float32: 0, float16: 1, bfloat16: 30 } as const;
export type FloatDtype = keyof typeof floatTypes;

interface KeptName {
  readonly name: string;
  /** What the checkpoint calls it. */
  readonly source: string;
  readonly matrix: boolean;
}

export interface Kept extends KeptName {
  readonly dtype: FloatDtype;
}

export function keptNames(
  model: BlockModel,
  { architecture, decoder, tensorName }: GgufLayout,
): KeptName[] {
  const [embedding = ''] = model.embedTensors;
  const [projection = '', finalNorm = ''] = model.headTensors;
  const matrix = (name: string, source: string) => ({ name, source, matrix: true });
  const vector = (name: string, source: string) => ({ name, source, matrix: false });
  const norms = Array.from({ length: model.blocks }, (_, block) =>
    model.blockTensors.map((name) =>
      vector(tensorName(block, name), `${model.blockName(block)}.${name}`),
    ),
  );
  return [
    matrix(globalNames.embedding, embedding),
    ...(decoder.tiedHead && !architecture.needsHead ? [] : [matrix(globalNames.head, projection)]),
    vector(globalNames.finalNorm, finalNorm),
    ...norms.flat(),
  ];
}

/** Matrices stay bfloat16 where the source is. */
export function keptTensors({ checkpoint, model }: ExportInput, layout: GgufLayout): Kept[] {
  return keptNames(model, layout).map((kept) => {
    if (!kept.matrix) return { ...kept, dtype: 'float32' };
    const { dtype } = checkpoint.tensor(kept.source);
    return { ...kept, dtype: dtype === 'bfloat16' ? 'bfloat16' : 'float16' };
  });
}
