// A model directory that is to be run, plain or packed. Of a packed result each linear is dequantized as its block is
// loaded, by the format's own reader: what is run is what the files hold.

import { allOrNothing } from '../all-or-nothing.js';
import { Checkpoint } from '../checkpoint/checkpoint.js';
import { withFloatWeights } from '../checkpoint/float-weights.js';
import { converted } from '../checkpoint/load-tensor.js';
import type { Device, Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import {
  checkpointModel,
  expectFinite,
  expectFiniteBlock,
  type LinearWeights,
  type StoredModel,
} from '../execution/index.js';
import { type BlockModel, type Config, shapeOf, Weights } from '../models/index.js';
import { type OpenedResult, openResult, readConfig, tensorNames } from './opened-result.js';
import { readRecord } from './record.js';
import { formats } from './registry.js';

export interface ModelFiles {
  readonly config: Config;
  /** Names by which an architecture may tell variants apart. */
  readonly tensors: ReadonlySet<string>;
  /** The weights of the model that `config` and `tensors` describe. */
  open(device: Device, model: BlockModel): Promise<StoredModel>;
}

/** Reads no weight. Errors: ERR_CHECKPOINT for a directory without a model, ERR_IO. */
export async function openModelFiles(directory: string): Promise<ModelFiles> {
  const record = await readRecord(directory);
  const format = formats.find(({ name }) => name === record?.format);
  if (record === undefined || format?.plain === true) {
    const checkpoint = withFloatWeights(await Checkpoint.open(directory));
    const { config } = checkpoint;
    const tensors = new Set(checkpoint.tensors.keys());
    return {
      config,
      tensors,
      open: async (device, model) =>
        checkpointModel(device, checkpoint.takenApart(model.parts ?? []), model),
    };
  }
  const config = await readConfig(directory);
  return {
    config,
    tensors: await tensorNames(directory, format),
    open: async (device) =>
      packedModel(directory, await openResult(device, directory, formats, { record })),
  };
}

function packedModel(directory: string, result: OpenedResult): StoredModel {
  const { model, record, reader } = result;
  const { tensor: read } = reader;
  if (read === undefined) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected a format that holds all tensors of a model but ${directory} is of format ${record.format}; export it to ` +
        'format huggingface first.',
    );
  }
  return {
    directory,
    async loadBlock(index) {
      const block = model.blockName(index);
      const linears = new Map<string, LinearWeights>();
      const weights: [string, Tensor][] = [];
      const dispose = () => {
        for (const { weight, bias } of linears.values()) {
          weight.dispose();
          bias?.dispose();
        }
        for (const [, tensor] of weights) tensor.dispose();
      };
      try {
        const { linears: specs, blockTensors } = shapeOf(model, index);
        for (const spec of specs) {
          const dtype = record.blocks[index]?.[spec.name]?.dtype ?? 'float32';
          const { codes, weight, bias } = await reader.linear(index, spec, dtype);
          linears.set(spec.name, { weight, bias });
          for (const tensor of Object.values(codes ?? {})) tensor?.dispose();
        }
        for (const name of blockTensors) {
          weights.push([name, read(`${block}.${name}`, 'float32')]);
        }
        const loaded = { weights: new Weights(weights), linears };
        await expectFiniteBlock(block, blockTensors, loaded, () => directory);
        return { ...loaded, [Symbol.dispose]: dispose };
      } catch (error) {
        dispose();
        throw error;
      }
    },
    loadWeights(names) {
      return allOrNothing(async (own) => {
        const tensors: (readonly [string, Tensor])[] = [];
        for (const name of names) {
          const tensor = read(name);
          // Embedding and matmul read every weight dtype, norms float32 alone.
          const matrix = tensor.shape.length === 2;
          tensors.push([name, await own(matrix ? tensor : converted(tensor, 'float32'))]);
        }
        await expectFinite(tensors, () => directory);
        return new Weights(tensors);
      });
    },
  };
}
