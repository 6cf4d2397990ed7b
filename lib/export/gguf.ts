// The format 'gguf', for llama.cpp and what is built on it: one file with the tokenizer inside. Codes lie on the grids
// of ggml's block types exactly; embedding and head are 16-bit, norms and biases 32-bit floats. Beside the file stand
// config.json and tokenizer.json, so that the result can be read back.

import { join } from 'node:path';
import { loadTensor } from '../checkpoint/load-tensor.js';
import type { Device, DType, Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import type { QuantizedWeight } from '../quantizers/index.js';
import { resultConfig } from './capabilities.js';
import type {
  ExportedBlock,
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
  packBlocks,
  representableZero,
  unpackBlocks,
} from './gguf/block-types.js';
import { GgufFile } from './gguf/file-reader.js';
import { GgufFileWriter, type GgufTensor } from './gguf/file-writer.js';
import {
  globalNames,
  type LlamaLayout,
  linearName,
  llamaLayout,
  llamaMetadata,
  normName,
  reordered,
  rotaryFactors,
} from './gguf/llama-layout.js';
import { tokenizerMetadata } from './gguf/tokenizer.js';
import { bytesOf } from './half-precision.js';
import { downloadCodes, uploadCodes } from './host-codes.js';

const file = 'model.gguf';

/** ggml's numbers of the types that are no blocks. */
const floatTypes = { float32: 0, float16: 1, bfloat16: 30 } as const;
type FloatDtype = keyof typeof floatTypes;

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
  if (actOrder && !staticGroups) refuse('true, for it is with actOrder,', 'staticGroups', false);
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

/** Tensors of the checkpoint outside linears that the file holds under another name. */
interface Kept {
  readonly name: string;
  readonly source: string;
  readonly dtype: FloatDtype;
}

class GgufWriter implements ExportWriter {
  readonly #replaced = new Set<string>();

  constructor(
    private readonly input: ExportInput,
    private readonly layout: LlamaLayout,
    private readonly type: BlockType,
    private readonly kept: readonly Kept[],
    private readonly file: GgufFileWriter,
  ) {}

  async writeBlock({ index, linears, replaced }: ExportedBlock): Promise<void> {
    const { model, device } = this.input;
    for (const { name, outChannels } of model.linears) {
      const linear = linears.get(name);
      if (linear === undefined) throw new RangeError(`No linear ${name}.`);
      const order = this.layout.rowOrder(name);
      const target = linearName(index, name);
      const host = await downloadCodes(linear.codes);
      await this.file.write(`${target}.weight`, await packBlocks(host, this.type, order));
      if (!hasBias(this.input, name)) continue;
      using zeros = device.zeros('float32', [outChannels]);
      using bias = reordered(linear.bias ?? zeros, order);
      await this.#write(`${target}.bias`, bias);
    }
    for (const [name, tensor] of replaced) {
      await this.#write(normName(index, name), tensor);
      this.#replaced.add(normName(index, name));
    }
  }

  async finish(): Promise<void> {
    const { device, checkpoint, output } = this.input;
    for (const { name, source, dtype } of this.kept) {
      if (this.#replaced.has(name)) continue;
      using tensor = loadTensor(device, checkpoint, source, { dtype });
      await expectFinite(tensor, source);
      await this.#write(name, tensor);
    }
    const factors = rotaryFactors(this.layout, checkpoint.config);
    if (factors !== undefined) await this.file.write(globalNames.rotaryFactors, bytesOf(factors));
    await this.file.close();
    await output.writeJson('config.json', resultConfig(this.input));
    await output.copyCompanions(checkpoint.directory);
  }

  abort(): Promise<void> {
    return this.file.abort();
  }

  async #write(name: string, tensor: Tensor): Promise<void> {
    await this.file.write(name, new Uint8Array(await tensor.read()));
  }
}

async function expectFinite(tensor: Tensor, source: string): Promise<void> {
  using count = tensor.device.countNonFinite(tensor);
  if ((await count.readFloat64())[0] === 0) return;
  throw new BallastError(
    'ERR_NUMERIC',
    `${source} holds values beyond the range of ${tensor.dtype}, which format gguf stores it in; convert the checkpoint to bfloat16 first.`,
  );
}

/** All linears may have one here, whatever the architecture's own class allows. */
function hasBias({ model, addBiases }: ExportInput, linear: string): boolean {
  return addBiases || model.linears.some(({ name, bias }) => name === linear && bias);
}

function keptTensors({ checkpoint, model }: ExportInput, { decoder }: LlamaLayout): Kept[] {
  const [embedding = ''] = model.embedTensors;
  const [projection = '', finalNorm = ''] = model.headTensors;
  const matrix = (name: string, source: string): Kept => {
    const dtype = checkpoint.tensor(source).dtype === 'bfloat16' ? 'bfloat16' : 'float16';
    return { name, source, dtype };
  };
  const vector = (name: string, source: string): Kept => ({ name, source, dtype: 'float32' });
  const norms = Array.from({ length: model.blocks }, (_, block) =>
    model.blockTensors.map((name) =>
      vector(normName(block, name), `${model.blockName(block)}.${name}`),
    ),
  );
  return [
    matrix(globalNames.embedding, embedding),
    ...(decoder.tiedHead ? [] : [matrix(globalNames.head, projection)]),
    vector(globalNames.finalNorm, finalNorm),
    ...norms.flat(),
  ];
}

function planTensors(
  input: ExportInput,
  layout: LlamaLayout,
  type: BlockType,
  kept: readonly Kept[],
): GgufTensor[] {
  const { model, checkpoint } = input;
  const floats = (name: string, shape: readonly number[], dtype: FloatDtype): GgufTensor => {
    const elements = shape.reduce((product, extent) => product * extent, 1);
    return {
      name,
      shape,
      type: floatTypes[dtype],
      bytes: elements * (dtype === 'float32' ? 4 : 2),
    };
  };
  const factors = rotaryFactors(layout, checkpoint.config);
  const linears = Array.from({ length: model.blocks }, (_, block) =>
    model.linears.flatMap(({ name, inChannels, outChannels }) => {
      const target = linearName(block, name);
      const bytes = outChannels * (inChannels / blockValues) * blockBytes(type);
      const weight = {
        name: `${target}.weight`,
        shape: [outChannels, inChannels],
        type: type.id,
        bytes,
      };
      const bias = floats(`${target}.bias`, [outChannels], 'float32');
      return hasBias(input, name) ? [weight, bias] : [weight];
    }),
  );
  return [
    ...(factors === undefined
      ? []
      : [floats(globalNames.rotaryFactors, [factors.length], 'float32')]),
    ...kept.map(({ name, source, dtype }) => floats(name, checkpoint.tensor(source).shape, dtype)),
    ...linears.flat(),
  ];
}

async function open(input: ExportInput): Promise<ExportWriter> {
  const { checkpoint, model, grid, output } = input;
  expectGrid(grid);
  const type = blockTypeOf(grid);
  if (type === undefined) throw new RangeError('No block type.');
  const layout = llamaLayout(model, checkpoint.config);
  const metadata = {
    ...llamaMetadata(layout, checkpoint.config, type.fileType),
    ...(await tokenizerMetadata(
      checkpoint.directory,
      checkpoint.config,
      layout.decoder.vocabularySize,
    )),
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
