// The format 'gguf', for llama.cpp and what is built on it: one file with the tokenizer inside. Codes lie on the grids
// of ggml's block types exactly; embedding and head are 16-bit, norms and biases 32-bit floats. Beside the file stand
// config.json and tokenizer.json, so that the result can be read back.

import { join } from 'node:path';
import type { Device, DType } from '../device/index.js';
import { BallastError } from '../errors.js';
import type { QuantizedWeight } from '../quantizers/index.js';
import type {
  ExportFormat,
  ExportInput,
  ExportReader,
  ExportWriter,
  Grid,
  ReadInput,
} from './format.js';
import {
  type BlockType,
  blockBytes,
  blockTypes,
  blockValues,
  representableZero,
  unpackBlocks,
} from './gguf/block-types.js';
import { GgufFile } from './gguf/file-reader.js';
import { GgufFileWriter } from './gguf/file-writer.js';
import { linearName, llamaLayout, llamaMetadata } from './gguf/llama-layout.js';
import { tokenizerMetadata } from './gguf/tokenizer.js';
import { GgufWriter, keptTensors, planTensors } from './gguf/writer.js';
import { uploadCodes } from './host-codes.js';

const file = 'model.gguf';

function blockTypeOf({ bits, symmetric }: Grid): BlockType | undefined {
  return blockTypes.find((type) => type.bits === bits && type.symmetric === symmetric);
}

function expectGrid(grid: Grid): void {
  const refuse = (expected: string, option: string, received: unknown) => {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected ${expected} for ${option} with format gguf but received ${received}.`,
    );
  };
  const { bits, groupSize, scaleDtype, actOrder, staticGroups, symmetric } = grid;
  if (![4, 5, 8].includes(bits)) refuse('4, 5 or 8', 'bits', bits);
  if (blockTypeOf(grid) === undefined) refuse(`true at ${bits} bits`, 'symmetric', symmetric);
  if (groupSize !== blockValues) refuse(`${blockValues}`, 'groupSize', groupSize);
  if (scaleDtype !== 'float16') refuse('float16', 'scaleDtype', scaleDtype);
  if (actOrder && !staticGroups) {
    throw new BallastError(
      'ERR_ARGUMENT',
      'Expected staticGroups with actOrder for format gguf: it holds groups of consecutive columns only.',
    );
  }
}

/** Offsets −scale · zero are float16 in a block. */
async function roundGrid(
  device: Device,
  weight: QuantizedWeight,
  { symmetric }: Grid,
): Promise<QuantizedWeight> {
  if (symmetric) return weight;
  const scales = await weight.scales.readFloat32();
  const zeros = await weight.zeros.readFloat32();
  const rounded = zeros.map((zero, i) => representableZero(scales[i] ?? 0, zero));
  return { ...weight, zeros: device.upload('float32', weight.zeros.shape, rounded) };
}

async function open(input: ExportInput): Promise<ExportWriter> {
  const { checkpoint, model, config, grid, output } = input;
  expectGrid(grid);
  const type = blockTypeOf(grid);
  if (type === undefined) throw new RangeError('No block type.');
  const layout = llamaLayout(model, config);
  const metadata = {
    ...llamaMetadata(layout, config, type.fileType),
    ...(await tokenizerMetadata(checkpoint.directory, config, layout.decoder.vocabularySize)),
  };
  const kept = keptTensors(input, layout);
  const tensors = planTensors(input, layout, type, kept);
  const writer = await GgufFileWriter.create(output.path, file, metadata, tensors);
  return new GgufWriter(input, layout, type, kept, writer);
}

async function read({ device, directory, model, grid, config }: ReadInput): Promise<ExportReader> {
  const type = blockTypeOf(grid);
  const stored = await GgufFile.open(join(directory, file));
  const layout = llamaLayout(model, config);
  return {
    async linear(block, { name, inChannels, outChannels }, dtype: DType) {
      const target = linearName(block, name);
      const order = layout.rowOrder(name);
      const { type: found, shape } = stored.tensors.get(`${target}.weight`) ?? {};
      if (
        type === undefined ||
        found !== type.id ||
        `${shape}` !== `${[outChannels, inChannels]}`
      ) {
        throw new BallastError(
          'ERR_CHECKPOINT',
          `Expected ${type?.name} [${outChannels}, ${inChannels}] for ${target}.weight but ${stored.path} holds ` +
            `type ${found} [${shape}]; export it again.`,
        );
      }
      const length = outChannels * (inChannels / blockValues) * blockBytes(type);
      const bytes = await stored.read(`${target}.weight`, length);
      const codes = uploadCodes(
        device,
        await unpackBlocks(bytes, outChannels, inChannels, type, order),
      );
      const weight = device.dequantize(codes.codes, codes.scales, codes.zeros, dtype);
      if (!stored.tensors.has(`${target}.bias`)) return { codes, weight };
      const values = await stored.read(`${target}.bias`, 4 * outChannels);
      return {
        codes,
        weight,
        bias: device.upload('float32', [outChannels], inCheckpointOrder(values, order)),
      };
    },
  };
}

/** The inverse of `reordered`, for a bias. */
function inCheckpointOrder(bytes: Uint8Array, order: Int32Array | undefined): Float32Array {
  const values = new Float32Array(bytes.slice().buffer);
  if (order === undefined) return values;
  const moved = new Float32Array(values.length);
  values.forEach((value, row) => {
    moved[order[row] ?? row] = value;
  });
  return moved;
}

export const gguf: ExportFormat = {
  name: 'gguf',
  summary: 'one file for llama.cpp: Q4_0, Q4_1, Q5_0, Q5_1 or Q8_0',
  gridDefaults: { groupSize: blockValues, scaleDtype: 'float16' },
  expectGrid,
  roundGrid,
  open,
  read,
};
