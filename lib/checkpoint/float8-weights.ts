// The tensors of a checkpoint with FP8 weights, as those of the float model that it stands for: each matrix of codes is one
// of floats whose scales are found, checked and told with it; scales are no tensors of the model, neither of weights nor of
// what serving quantizes besides. Headers alone are read.

import { BallastError } from '../errors.js';
import { bytesPerElement, type TensorDtype } from './dtypes.js';
import type { Float8Block, Float8Layout } from './float8-layout.js';
import type { Float8Scales, TensorInfo } from './tensor-info.js';

type Tensors = ReadonlyMap<string, TensorInfo>;

const scaleTypes: readonly TensorDtype[] = ['float32', 'float16', 'bfloat16'];
/** Of inputs, outputs and the cache of keys and values, beside a linear or in what it is part of. */
const servingScales = /^(input|activation|output|q|k|v|kv|prob)_scale(_inv|_ub)?$/;

/** Matrices of codes are of `dtype`. Errors: ERR_CHECKPOINT and ERR_UNSUPPORTED for scales, by the names of both tensors. */
export function floatTensors(tensors: Tensors, layout: Float8Layout, dtype: TensorDtype): Tensors {
  const scales = new Set<string>();
  const modules = new Set<string>();
  const seen = Array.from(tensors.values(), (info) => {
    if (info.dtype !== 'float8_e4m3fn') return info;
    const float8 = scalesOf(info, tensors, layout);
    scales.add(float8.scales.name);
    const module = parentOf(info.name);
    modules.add(module).add(parentOf(module));
    return { ...info, dtype, bytes: info.bytes * bytesPerElement(dtype), float8 };
  });
  const isServing = (name: string) =>
    modules.has(parentOf(name)) && servingScales.test(name.slice(parentOf(name).length + 1));
  const kept = seen.filter(({ name }) => !scales.has(name) && !isServing(name));
  const stray = kept.find(({ name }) =>
    layout.suffixes.some((suffix) => name.endsWith(`.weight${suffix}`)),
  );
  if (stray === undefined) return new Map(kept.map((info) => [info.name, info]));
  throw new BallastError(
    'ERR_CHECKPOINT',
    `Expected a weight of float8_e4m3fn beside ${stray.name} in ${stray.file}, since quantization_config in config.json says ` +
      'so, but there is none; the export is incomplete, or config.json belongs to another model.',
  );
}

function scalesOf(
  weight: TensorInfo,
  tensors: Tensors,
  { suffixes, blocks }: Float8Layout,
): Float8Scales {
  const { name, shape, file } = weight;
  const names = suffixes.map((suffix) => name + suffix);
  const scales = names.map((each) => tensors.get(each)).find((each) => each !== undefined);
  if (scales === undefined) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected ${names.join(' or ')} beside the FP8 weight ${name} in ${file} but the checkpoint has none; it was not fully ` +
        'downloaded or exported: fetch or make it again.',
    );
  }
  const [out, columns] = shape;
  if (shape.length !== 2 || out === undefined || columns === undefined) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected a matrix for the FP8 weight ${name} but ${file} holds [${shape.join(', ')}]; pass the model that it was made from.`,
    );
  }
  if (!scaleTypes.includes(scales.dtype)) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected one of ${scaleTypes.join(', ')} for ${scales.name} but ${scales.file} holds ${scales.dtype}; pass the model that ` +
        'it was made from.',
    );
  }
  const grids = blocks.map((block) => gridOf(out, columns, block));
  const grid = grids.find(({ shape: expected }) => isGrid(scales.shape, expected));
  if (grid !== undefined) {
    const { rows, cols } = grid;
    return { scales: { ...scales, shape: [...grid.shape] }, rows, cols, firstRow: 0 };
  }
  throw new BallastError(
    'ERR_CHECKPOINT',
    `Expected shape ${grids.map((each) => `[${each.shape.join(', ')}]`).join(' or ')} for ${scales.name}, the scales of ${name} ` +
      `[${shape.join(', ')}], but ${scales.file} holds [${scales.shape.join(', ')}]; the file is damaged, or config.json belongs ` +
      'to another model.',
  );
}

function gridOf(out: number, columns: number, [blockRows, blockCols]: Float8Block) {
  const rows = Math.max(blockRows || out, 1);
  const cols = Math.max(blockCols || columns, 1);
  return { rows, cols, shape: [Math.ceil(out / rows), Math.ceil(columns / cols)] as const };
}

/** Also without the dimensions of 1 at its end. */
function isGrid(shape: readonly number[], [rows, cols]: readonly [number, number]): boolean {
  const [first = 1, second = 1] = shape;
  return shape.length <= 2 && first === rows && second === cols;
}

function parentOf(name: string): string {
  return name.slice(0, Math.max(name.lastIndexOf('.'), 0));
}
