// The format 'gguf', for llama.cpp and what is built on it: one file with the tokenizer inside. Codes lie on the grids
// of ggml's block types exactly; embedding and head are 16-bit floats or Q8_0, norms and biases 32-bit floats. Beside the file stand
// config.json and tokenizer.json, so that the result can be read back.

import type { Device } from '../device/index.js';
import { BallastError } from '../errors.js';
import type { BlockModel, Config } from '../models/index.js';
import type { QuantizedWeight } from '../quantizers/index.js';
import { biasCapability } from './capabilities.js';
import type { ExportFormat, ExportInput, ExportWriter, Grid } from './format.js';
import {
  blockTypeOf,
  blockTypes,
  blockValues,
  packed,
  storedBits,
  unpacked,
} from './gguf/block-types.js';
import { describeGguf } from './gguf/description.js';
import { GgufFileWriter } from './gguf/file-writer.js';
import { keptTensors } from './gguf/kept-tensors.js';
import { type GgufLayout, ggufLayout } from './gguf/layout.js';
import { modelMetadata } from './gguf/model-metadata.js';
import { openGgufReader } from './gguf/reader.js';
import { tokenizerMetadata } from './gguf/tokenizer.js';
import { GgufWriter, planTensors } from './gguf/writer.js';

const file = 'model.gguf';

function expectGrid(grid: Grid): void {
  const refuse = (expected: string, option: string, received: unknown) => {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected ${expected} for ${option} with format gguf but received ${received}.`,
    );
  };
  const { bits, groupSize, scaleDtype, actOrder, staticGroups, symmetric, superBlocks } = grid;
  if (!superBlocks) {
    if (![4, 5, 8].includes(bits)) refuse('4, 5 or 8 without superBlocks', 'bits', bits);
    if (blockTypeOf(grid) === undefined) refuse(`true at ${bits} bits`, 'symmetric', symmetric);
    if (groupSize !== blockValues) refuse(`${blockValues}`, 'groupSize', groupSize);
    if (scaleDtype !== 'float16') refuse('float16', 'scaleDtype', scaleDtype);
  }
  if (actOrder && !staticGroups) {
    throw new BallastError(
      'ERR_ARGUMENT',
      'Expected staticGroups with actOrder for format gguf: it holds groups of consecutive columns only.',
    );
  }
}

/** Offsets −scale · zero are float16 in a block: zero points become those that blocks are unpacked with. */
async function roundGrid(
  device: Device,
  weight: QuantizedWeight,
  grid: Grid,
): Promise<QuantizedWeight> {
  const type = blockTypeOf(grid);
  if (type === undefined || type.symmetric || type.superBlocks) return weight;
  return device.scope(() => {
    const { zeros } = unpacked(device, packed(device, weight, type), type);
    return { ...weight, zeros };
  });
}

/** By what its config.json says; biases of its own that llama.cpp's class does not read would be lost. */
function expectModel(model: BlockModel, config: Config): GgufLayout {
  const layout = ggufLayout(model, config);
  const { read } = biasCapability(model, gguf);
  const lost = model.linears.find(({ name, bias }) => bias && !read.has(name));
  if (lost === undefined) return layout;
  throw new BallastError(
    'ERR_UNSUPPORTED',
    `Expected no bias of ${lost.name} for format gguf with ${model.modelType}, in which llama.cpp reads none; use format ` +
      'huggingface or compressed-tensors.',
  );
}

async function open(input: ExportInput): Promise<ExportWriter> {
  const { checkpoint, model, config, grid, output } = input;
  expectGrid(grid);
  const type = blockTypeOf(grid);
  if (type === undefined) throw new RangeError('No block type.');
  const layout = expectModel(model, config);
  const metadata = {
    ...modelMetadata(layout, config, type.fileType),
    ...(await tokenizerMetadata(checkpoint.directory, config, layout.outline.vocabularySize)),
  };
  const kept = keptTensors(input, layout);
  const { read } = biasCapability(model, gguf);
  const tensors = planTensors(input, layout, type, kept, read);
  const writer = await GgufFileWriter.create(output.path, file, metadata, tensors);
  return new GgufWriter(input, layout, type, kept, read, writer);
}

export const gguf: ExportFormat = {
  name: 'gguf',
  summary: `one file for llama.cpp: ${blockTypes.map(({ name }) => name).join(', ')}`,
  clients: ['llama.cpp'],
  holdsAnyBias: true,
  holdsSuperBlocks: true,
  embeddingBits: [8],
  storedBits(grid) {
    const type = blockTypeOf(grid);
    if (type === undefined) throw new RangeError('No block type.');
    return storedBits(type);
  },
  gridDefaults: { groupSize: blockValues, scaleDtype: 'float16' },
  // What ggml has in super-blocks alone.
  superBlockBits: [2, 3, 6],
  expectGrid,
  expectModel: (model, config) => void expectModel(model, config),
  roundGrid,
  open,
  read: (input) => openGgufReader(input, blockTypeOf(input.grid), file),
  describe: (directory) => describeGguf(directory, file),
};
