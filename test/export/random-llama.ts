// A random checkpoint of the LLaMA family with a tokenizer of its own, and what a run would hand to an export: codes
// by rounding to nearest, and a random bias for each linear. No calibration, no pipeline.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { OutputDirectory } from '../../lib/checkpoint/output/output-directory.js';
import { SafetensorsWriter } from '../../lib/checkpoint/output/safetensors-writer.js';
import type { Device } from '../../lib/device/index.js';
import { loadBlock } from '../../lib/execution/index.js';
import type { ExportedLinear, Grid } from '../../lib/export/format.js';
import { biasCapability, findFormat, openExport } from '../../lib/export/index.js';
import { joinParts } from '../../lib/export/joined-parts.js';
import { readModel, shapeOf } from '../../lib/models/index.js';
import { superBlocks } from '../../lib/quantizers/index.js';
import { gridOptions } from '../../lib/quantizers/quantizer.js';
import { onSteps } from '../../lib/quantizers/super-blocks.js';

import { normals } from '../native/harness.js';
import { temporaryFolder } from '../places.js';
import { encodeFloats, type ScaleDtype } from './half-precision.js';

export const baseConfig = {
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  auto_map: { AutoConfig: 'code_beside.LlamaConfig' },
  dtype: 'float16',
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 128,
  vocab_size: 300,
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  bos_token_id: 257,
  eos_token_id: 257,
};

export const baseGrid: Grid = {
  bits: 4,
  groupSize: 32,
  symmetric: false,
  clip: 'none',
  scaleDtype: 'float16',
  superBlocks: false,
  actOrder: false,
  staticGroups: false,
};

/** A grid of super-blocks, and sizes that these divide. */
export const superGrid = (bits: number): Grid => ({
  ...baseGrid,
  ...superBlocks.get(bits),
  ...{ bits, scaleDtype: 'float32', superBlocks: true },
});
export const superSizes = { hidden_size: 256, intermediate_size: 512 };

/** The letter of each byte, by Radford et al. 2019: printable bytes stand for themselves, the others for letters from 256 on. */
export const byteAlphabet: readonly string[] = letters();

function letters(): string[] {
  const printable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(printable(byte) ? byte : next++),
  );
}

/** Byte-level: the 256 bytes, one merge, one special token; ids up to the vocabulary's size are unused. */
function tokenizer(): object {
  const vocab = Object.fromEntries([...byteAlphabet, 'th'].map((token, id) => [token, id]));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: true };
  return {
    version: '1.0',
    added_tokens: [{ id: 257, content: '<s>', special: true }],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: 'BPE', vocab, merges: [['t', 'h']] },
  };
}

/**
 * Writes a checkpoint with `changes` to the configuration; all values have this standard deviation, unless `edit` changes
 * a tensor's.
 */
export async function randomLlama(
  changes: Record<string, unknown> = {},
  dtype: ScaleDtype = 'float32',
  deviation = 0.1,
  edit: (name: string, values: Float32Array) => void = () => {},
): Promise<Checkpoint> {
  const directory = join(await temporaryFolder(), 'model');
  await mkdir(directory);
  const config = { ...baseConfig, ...changes };
  const model = readModel(config, new Set());
  const plan: { name: string; shape: number[] }[] = [];
  const add = (name: string, ...shape: number[]) => plan.push({ name, shape });
  for (let index = 0; index < model.blocks; index++) {
    const block = model.blockName(index);
    const { linears, blockTensors, tensorShapes } = shapeOf(model, index);
    for (const { name, inChannels, outChannels, bias, layout } of linears) {
      const shape = [outChannels, inChannels];
      add(`${block}.${name}.weight`, ...(layout === 'in_out' ? shape.reverse() : shape));
      if (bias) add(`${block}.${name}.bias`, outChannels);
    }
    const sizeOf = (name: string) => {
      const { shape, queryKeyNorms } = model.decoder ?? {};
      if (!name.startsWith('self_attn.') || shape === undefined) return model.hiddenSize;
      if (queryKeyNorms !== 'whole') return shape.headSize;
      return shape.headSize * (name.includes('q_norm') ? shape.heads : shape.keyValueHeads);
    };
    for (const name of blockTensors)
      add(`${block}.${name}`, ...(tensorShapes?.[name] ?? [sizeOf(name)]));
  }
  for (const [name, shape] of Object.entries(model.outerShapes)) add(name, ...shape);
  const writer = await SafetensorsWriter.create(
    directory,
    joinParts(
      plan.map((tensor) => ({ ...tensor, dtype })),
      model,
    ),
  );
  for (const [seed, { name, shape }] of plan.entries()) {
    const elements = shape.reduce((product, extent) => product * extent, 1);
    const values = normals(elements, seed + 1, deviation);
    edit(name, values);
    await writer.write(name, encodeFloats(values, dtype));
  }
  await writer.close();
  await writeFile(join(directory, 'config.json'), JSON.stringify(config));
  await writeFile(join(directory, 'tokenizer.json'), JSON.stringify(tokenizer()));
  await writeFile(join(directory, 'tokenizer_config.json'), JSON.stringify({ bos_token: '<s>' }));
  return Checkpoint.open(directory);
}

export interface Exported {
  readonly directory: string;
  /** Of each block, what was handed over, in host memory. */
  readonly blocks: readonly ReadonlyMap<string, HostLinear>[];
}

export interface HostLinear {
  /** [out, in]. */
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly scales: Float32Array;
}

/** Quantizes every linear by rounding, gives it a random bias where that is read unless told otherwise, and writes the format. */
export async function exportRandom(
  device: Device,
  checkpoint: Checkpoint,
  format: string,
  grid: Grid = baseGrid,
  {
    biases = true,
    groupIndex,
    embeddingBits = 16,
    throwIfAborted = () => {},
  }: {
    biases?: boolean;
    groupIndex?: Int32Array;
    embeddingBits?: number;
    throwIfAborted?: () => void;
  } = {},
): Promise<Exported> {
  const model = readModel(checkpoint.config, new Set(checkpoint.tensors.keys()));
  const directory = join(await temporaryFolder(), 'result');
  const output = await OutputDirectory.create(directory);
  const { config } = checkpoint;
  const run = { device, checkpoint, model, config, output, grid, addBiases: biases };
  const input = { ...run, maxShardBytes: 1e9, embeddingBits, throwIfAborted };
  const writer = await openExport(findFormat(format), input);
  const { read } = biasCapability(model, findFormat(format));
  const blocks: Map<string, HostLinear>[] = [];
  for (let index = 0; index < model.blocks; index++) {
    using block = await loadBlock(device, checkpoint, model, index);
    const linears = new Map<string, ExportedLinear>();
    const hosts = new Map<string, HostLinear>();
    for (const [place, { name, outChannels }] of shapeOf(model, index).linears.entries()) {
      const source = block.linears.get(name);
      if (source === undefined) throw new RangeError(name);
      const free = device.findScales(source.weight, gridOptions(grid));
      const { scales, zeros } = onSteps(device, source.weight, free, grid);
      const index32 = groupIndex && device.upload('int32', [groupIndex.length], groupIndex);
      const codes = device.quantize(source.weight, scales, zeros, grid.bits, index32);
      const raw = { codes, scales, zeros, groupIndex: index32 };
      const held = (await findFormat(format).roundGrid?.(device, raw, grid)) ?? raw;
      const weight = device.dequantize(
        held.codes,
        held.scales,
        held.zeros,
        source.weight.dtype,
        held.groupIndex,
      );
      const values = normals(outChannels, 1000 * index + place + 1, biases ? 0.1 : 0);
      const own = (await source.bias?.readFloat32()) ?? new Float32Array(outChannels);
      const sum = values.map((value, channel) => value + (own[channel] ?? 0));
      const rounded = device.cast(
        device.upload('float32', [outChannels], sum),
        source.weight.dtype,
      );
      const uploaded = device.cast(rounded, 'float32');
      const bias = await uploaded.readFloat32();
      linears.set(name, { codes: held, weight, bias: read.has(name) ? uploaded : undefined });
      const host = await device.cast(weight, 'float32').readFloat32();
      hosts.set(name, { weight: host, bias, scales: await held.scales.readFloat32() });
    }
    await writer.writeBlock({ index, linears, replaced: new Map() });
    blocks.push(hosts);
  }
  await writer.finish(new Map());
  await output.commit();
  return { directory, blocks };
}
