// Random OPT checkpoints in float32, of any depth and width, with the bundled model's tokenizer. Norms have biases and
// linears of one block may be shared by all, so that a deep model is written as fast as a shallow one.

import { mkdir, open, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { normals } from '../native/harness.js';
import { exampleModel } from '../places.js';

export interface RandomOpt {
  readonly blocks: number;
  readonly hiddenSize: number;
  readonly mlpSize: number;
  /** Default true. */
  readonly preNorm?: boolean;
  /** Changes a tensor of every block, by its name inside the block. */
  readonly edit?: (name: string, values: Float32Array) => void;
}

const vocabulary = 8192;
const positions = 512;
const heads = 4;

/** Writes a model directory below `folder` and returns it. */
export async function randomOpt(folder: string, options: RandomOpt): Promise<string> {
  const { blocks, hiddenSize, preNorm = true } = options;
  const directory = join(folder, `opt-${blocks}-${hiddenSize}${preNorm ? '' : '-post'}`);
  await mkdir(directory);
  const config = {
    model_type: 'opt',
    architectures: ['OPTForCausalLM'],
    do_layer_norm_before: preNorm,
    activation_function: 'relu',
    hidden_size: hiddenSize,
    ffn_dim: options.mlpSize,
    num_hidden_layers: blocks,
    num_attention_heads: heads,
    vocab_size: vocabulary,
    max_position_embeddings: positions,
    word_embed_proj_dim: hiddenSize,
    tie_word_embeddings: true,
  };
  await writeFile(join(directory, 'config.json'), JSON.stringify(config));
  await symlink(join(exampleModel, 'tokenizer.json'), join(directory, 'tokenizer.json'));
  const block = blockTensors(options);
  const tensors = [...outerTensors(options)];
  for (let index = 0; index < blocks; index++) {
    for (const [name, tensor] of block) tensors.push([`layers.${index}.${name}`, tensor]);
  }
  await writeTensors(join(directory, 'model.safetensors'), tensors);
  return directory;
}

interface Values {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

type Named = readonly [name: string, tensor: Values];

function drawn(seed: number, shape: number[], deviation: number, mean = 0): Values {
  const elements = shape.reduce((product, extent) => product * extent, 1);
  return { shape, values: normals(elements, seed, deviation, mean) };
}

function outerTensors({ hiddenSize, preNorm = true }: RandomOpt): Named[] {
  const final: Named[] = [
    ['final_layer_norm.weight', drawn(3, [hiddenSize], 0.1, 1)],
    ['final_layer_norm.bias', drawn(4, [hiddenSize], 0.1)],
  ];
  return [
    ['embed_tokens.weight', drawn(1, [vocabulary, hiddenSize], 0.5)],
    ['embed_positions.weight', drawn(2, [positions + 2, hiddenSize], 0.2)],
    ...(preNorm ? final : []),
  ];
}

function blockTensors({ hiddenSize, mlpSize, edit }: RandomOpt): Named[] {
  const linears: readonly (readonly [string, number, number])[] = [
    ['self_attn.q_proj', hiddenSize, hiddenSize],
    ['self_attn.k_proj', hiddenSize, hiddenSize],
    ['self_attn.v_proj', hiddenSize, hiddenSize],
    ['self_attn.out_proj', hiddenSize, hiddenSize],
    ['fc1', mlpSize, hiddenSize],
    ['fc2', hiddenSize, mlpSize],
  ];
  const named = [
    ...linears.flatMap(([name, rows, cols], i): Named[] => [
      [`${name}.weight`, drawn(10 + i, [rows, cols], cols ** -0.5)],
      [`${name}.bias`, drawn(20 + i, [rows], 0.1)],
    ]),
    ...['self_attn_layer_norm', 'final_layer_norm'].flatMap((name, i): Named[] => [
      [`${name}.weight`, drawn(30 + i, [hiddenSize], 0.1, 1)],
      // Inputs of the linears have means worth compensating.
      [`${name}.bias`, drawn(40 + i, [hiddenSize], 0.5)],
    ]),
  ];
  for (const [name, { values }] of named) edit?.(name, values);
  return named;
}

async function writeTensors(path: string, tensors: readonly Named[]): Promise<void> {
  const header: Record<string, object> = {};
  let offset = 0;
  for (const [name, { shape, values }] of tensors) {
    const end = offset + values.byteLength;
    header[`model.decoder.${name}`] = { dtype: 'F32', shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  const file = await open(path, 'wx');
  try {
    await file.writeFile(Buffer.concat([prefix, text]));
    for (const [, { values }] of tensors) {
      await file.writeFile(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
  } finally {
    await file.close();
  }
}
