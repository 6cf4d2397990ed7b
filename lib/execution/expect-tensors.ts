// What a model reads of a checkpoint, looked at before any work: a tensor that is absent, of another shape than config.json
// says or of a type that nobody computes with is told at once, by its name, and not when its block comes, which may be hours
// later. Headers alone are read; values are checked as they are loaded.

import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { BallastError } from '../errors.js';
import { type BlockModel, type LinearSpec, shapeOf } from '../models/index.js';

const floatTypes: readonly string[] = ['float32', 'float16', 'bfloat16'];

/** Errors: ERR_CHECKPOINT for a tensor that is missing or of another shape, ERR_UNSUPPORTED for one of another type. */
export function expectTensors(checkpoint: Checkpoint, model: BlockModel): void {
  for (const name of [...model.embedTensors, ...model.headTensors]) {
    expectTensor(checkpoint, name, model.outerShapes[name] ?? []);
  }
  for (let index = 0; index < model.blocks; index++) {
    const block = model.blockName(index);
    const { blockTensors, tensorShapes, linears } = shapeOf(model, index);
    for (const name of blockTensors) {
      expectTensor(checkpoint, `${block}.${name}`, tensorShapes?.[name]);
    }
    for (const linear of linears) {
      expectTensor(checkpoint, `${block}.${linear.name}.weight`, storedShape(linear));
      if (!linear.bias) continue;
      expectTensor(checkpoint, `${block}.${linear.name}.bias`, [linear.outChannels]);
    }
  }
  expectOwners(checkpoint);
}

/** Weights in MXFP4 are those of experts alone, and read an expert at a time. */
function expectOwners({ tensors }: Checkpoint): void {
  for (const { name, file, float4, shape } of tensors.values()) {
    if (float4 === undefined || shape.length === 2) continue;
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected every MXFP4 weight to be of experts in a block but ${name} in ${file} is in none; config.json belongs to ` +
        'another model.',
    );
  }
}

function storedShape({ inChannels, outChannels, layout }: LinearSpec): number[] {
  return layout === 'in_out' ? [inChannels, outChannels] : [outChannels, inChannels];
}

/** Without a `shape`, what reads the tensor checks its size. */
function expectTensor(checkpoint: Checkpoint, name: string, shape?: readonly number[]): void {
  const info = checkpoint.tensor(name);
  if (shape !== undefined && `${info.shape}` !== `${shape}`) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected shape [${shape.join(', ')}] for ${name} as config.json says but ${info.file} holds [${info.shape.join(', ')}].`,
    );
  }
  if (floatTypes.includes(info.dtype)) return;
  const remedy = info.dtype.startsWith('float8')
    ? ', whose scales quantization_config in config.json does not tell; pass the model that it was made from.'
    : '; convert the checkpoint to one of these first (in transformers: model.bfloat16().save_pretrained(directory)).';
  throw new BallastError(
    'ERR_UNSUPPORTED',
    `Expected one of ${floatTypes.join(', ')} for ${name} but ${info.file} holds ${info.dtype}${remedy}`,
  );
}
