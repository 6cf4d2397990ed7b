// The tensors outside linears: embedding and head as 16-bit floats or blocks of 8 bits, norms and routers as 32-bit floats, under llama.cpp's names.

import type { Tensor } from '../../device/index.js';
import { BallastError } from '../../errors.js';
import { type BlockModel, shapeOf } from '../../models/index.js';
import type { ExportInput } from '../format.js';
import { type BlockType, blockSize, embeddingType, packed } from './block-types.js';
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
  /** What the file's values are above the checkpoint's. */
  readonly offset: number;
}

export interface Kept extends KeptName {
  /** What it is read as, and stored unless a type of blocks is given. */
  readonly dtype: FloatDtype;
  readonly type?: BlockType;
}

/** What a norm's weights are stored less. */
export function normOffset({ outline: { norm } }: GgufLayout): number {
  return norm.kind === 'rms' ? norm.offset : 0;
}

export function keptNames(model: BlockModel, layout: GgufLayout): KeptName[] {
  const { architecture, outline } = layout;
  const [embedding = '', ...embedded] = model.embedTensors;
  const [projection = '', ...others] = model.headTensors;
  const offset = normOffset(layout);
  const matrix = (name: string, source: string) => ({ name, source, matrix: true, offset: 0 });
  const vector = (name: string, source: string, scales: boolean) => ({
    ...{ name, source, matrix: false },
    offset: scales ? offset : 0,
  });
  const own = !outline.tiedHead || architecture.head === 'own';
  const parameter = (name: string, source: string, scales: boolean) =>
    vector(`${name}.${source.split('.').at(-1)}`, source, scales);
  // Tables of positions have no bias, norms of embeddings do.
  const first = embedded.map((source) =>
    embedded.length === 1
      ? vector(globalNames.positions, source, false)
      : parameter(globalNames.embeddingNorm, source, false),
  );
  const final = others.map((source) =>
    source.startsWith(projection.replace(/weight$/, ''))
      ? vector(globalNames.headBias, source, false)
      : parameter(globalNames.finalNorm, source, true),
  );
  const inBlocks = Array.from({ length: model.blocks }, (_, block) =>
    shapeOf(model, block).blockTensors.map((name) => {
      const target = layout.tensorTarget(block, name);
      return vector(target.name, `${model.blockName(block)}.${name}`, target.scales);
    }),
  );
  return [
    matrix(globalNames.embedding, embedding),
    ...(own ? [matrix(globalNames.head, projection)] : []),
    ...first,
    ...final,
    ...inBlocks.flat(),
  ];
}

/** Matrices stay bfloat16 where the source is, and where they are floats at all. */
export function keptTensors(
  { checkpoint, model, embeddingBits }: ExportInput,
  layout: GgufLayout,
): Kept[] {
  return keptNames(model, layout).map((kept) => {
    if (!kept.matrix) return { ...kept, dtype: 'float32' };
    const { dtype, shape } = checkpoint.tensor(kept.source);
    const floats = { ...kept, dtype: dtype === 'bfloat16' ? 'bfloat16' : 'float16' } as const;
    if (embeddingBits !== embeddingType.bits) return floats;
    const { values } = blockSize(embeddingType);
    const [width = 0] = shape.slice(-1);
    if (width % values === 0) return { ...floats, type: embeddingType };
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected 16 for embeddingBits, since ${values} does not divide the ${width} channels of ${kept.source}, but received ` +
        `${embeddingBits}.`,
    );
  });
}

/** A matrix as blocks, each rounded to nearest. */
export function packedMatrix(tensor: Tensor, type: BlockType): Tensor {
  const { device } = tensor;
  return device.scope(() => {
    const grid = { bits: type.bits, symmetric: type.symmetric, groupSize: blockSize(type).values };
    const { scales, zeros } = device.findScales(tensor, {
      ...{ ...grid, clipSteps: 0, clipRange: 0, clipExponent: 2, scaleDtype: 'float16' },
    });
    const codes = device.quantize(tensor, scales, zeros, type.bits);
    return packed(device, { codes, scales, zeros }, type);
  });
}

/** Every value of a vector raised by `offset`; a tensor of its own. */
export function raised(tensor: Tensor, offset: number): Tensor {
  const { device, shape, elements } = tensor;
  if (offset === 0) return device.reshape(tensor, shape);
  return device.scope(() => {
    const values = new Float32Array(elements).fill(offset);
    return device.add(tensor, device.upload('float32', shape, values));
  });
}
