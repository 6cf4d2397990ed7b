// The tensors of a checkpoint with MXFP4 weights (OCP Microscaling Formats Specification, 1.0; `mxfp4` in transformers 5), as
// those of the float model that it stands for. Of gpt-oss, whose experts alone are stored so: `<weight>_blocks` [experts, out,
// groups, 16] of two codes a byte and `<weight>_scales` [experts, out, groups] are the weight [experts, in, out]. Headers alone
// are read.

import { BallastError } from '../errors.js';
import { bytesPerElement, type TensorDtype } from './dtypes.js';
import type { TensorInfo } from './tensor-info.js';

type Tensors = ReadonlyMap<string, TensorInfo>;

const blocksSuffix = '_blocks';
/** Codes of a block. */
const values = 32;

/** Weights are of `dtype`. Error ERR_CHECKPOINT for blocks or scales, by their names. */
export function tensorsOfFloat4(tensors: Tensors, dtype: TensorDtype): Tensors {
  const scales = new Set<string>();
  const seen = Array.from(tensors.values(), (info) => {
    if (!info.name.endsWith(blocksSuffix)) return info;
    const name = info.name.slice(0, -blocksSuffix.length);
    const own = scalesOf(info, `${name}_scales`, tensors);
    scales.add(own.name);
    const [experts = 0, out = 0, groups = 0] = info.shape;
    const shape = [experts, groups * values, out];
    const bytes = 2 * info.bytes * bytesPerElement(dtype);
    return { ...info, name, dtype, shape, bytes, float4: { scales: own, values } };
  });
  return new Map(seen.filter(({ name }) => !scales.has(name)).map((info) => [info.name, info]));
}

function scalesOf(blocks: TensorInfo, name: string, tensors: Tensors): TensorInfo {
  const scales = tensors.get(name);
  if (scales === undefined) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected ${name} beside the MXFP4 weight ${blocks.name} in ${blocks.file} but the checkpoint has none; it was not fully ` +
        'downloaded or exported: fetch or make it again.',
    );
  }
  expectBytes(blocks, blocks.shape.length === 4 && blocks.shape[3] === values / 2, [
    'experts',
    'out',
    'groups',
    values / 2,
  ]);
  const expected = blocks.shape.slice(0, -1);
  expectBytes(scales, `${scales.shape}` === `${expected}`, expected);
  return scales;
}

function expectBytes(
  { name, dtype, shape, file }: TensorInfo,
  fits: boolean,
  expected: readonly unknown[],
): void {
  if (fits && dtype === 'uint8') return;
  throw new BallastError(
    'ERR_CHECKPOINT',
    `Expected uint8 [${expected.join(', ')}] for ${name}, since quantization_config in config.json says that weights are MXFP4, ` +
      `but ${file} holds ${dtype} [${shape.join(', ')}]; the file is damaged, or config.json belongs to another model.`,
  );
}
