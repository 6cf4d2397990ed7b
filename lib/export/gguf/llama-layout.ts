// How llama.cpp's architecture 'llama' holds a model: names, metadata, and the order of rows of query and key, whose
// rotary pairs stand side by side there and half a head apart in Hugging Face checkpoints. The same architecture, with
// its optional biases, runs Mistral and Qwen2 exactly: they are LLaMA with a window, or with biases in three linears.
// Sources: llama.cpp's gguf-py constants and its llama model.

import type { Tensor } from '../../device/index.js';
import { BallastError } from '../../errors.js';
import { ConfigReader } from '../../models/config-reader.js';
import type { GatedDecoder } from '../../models/gated-decoder.js';
import { architectures, type BlockModel } from '../../models/index.js';
import { readGatedDecoder } from '../../models/read-gated-decoder.js';
import { float32, type Metadata, string, uint32 } from './metadata.js';

const linearNames: Readonly<Record<string, string>> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

const normNames: Readonly<Record<string, string>> = {
  'input_layernorm.weight': 'attn_norm.weight',
  'post_attention_layernorm.weight': 'ffn_norm.weight',
};

const supported = ['llama', 'mistral', 'qwen2'];

/** The linear's tensors are `<this>.weight` and `<this>.bias`. */
export function linearName(block: number, linear: string): string {
  return `blk.${block}.${linearNames[linear]}`;
}

export function normName(block: number, tensor: string): string {
  return `blk.${block}.${normNames[tensor]}`;
}

export const globalNames = {
  embedding: 'token_embd.weight',
  head: 'output.weight',
  finalNorm: 'output_norm.weight',
  rotaryFactors: 'rope_freqs.weight',
} as const;

export interface LlamaLayout {
  readonly decoder: GatedDecoder;
  /** For a linear whose rows are in another order: file row r is row `[r]` of the checkpoint. */
  rowOrder(linear: string): Int32Array | undefined;
}

/** Error ERR_UNSUPPORTED for a model that llama.cpp's 'llama' is not. */
export function llamaLayout(
  model: BlockModel,
  config: Readonly<Record<string, unknown>>,
): LlamaLayout {
  if (!supported.includes(model.modelType)) {
    const known = architectures.find(({ modelType }) => modelType === model.modelType);
    const others = known?.rewrites?.llama === undefined ? '' : '--as-llama, or ';
    throw refused(`a model of type ${supported.join(', ')}`, model.modelType, others);
  }
  const reader = new ConfigReader(config);
  const decoder = readGatedDecoder(reader, model.modelType);
  if (decoder.activation !== 'silu') throw refused('the activation silu', decoder.activation);
  expectOneRotation(decoder);
  const { heads, keyValueHeads, headSize } = decoder.shape;
  const orders = new Map([
    ['self_attn.q_proj', pairedRows(heads, headSize)],
    ['self_attn.k_proj', pairedRows(keyValueHeads, headSize)],
  ]);
  return { decoder, rowOrder: (linear) => orders.get(linear) };
}

/** llama.cpp chooses between short and long factors by the size of its context, not by the length of a text. */
function expectOneRotation({ rotary, maxPositions }: GatedDecoder): void {
  if (rotary.context >= maxPositions) return;
  throw refused(
    'rotary frequencies that are the same for every sequence',
    `others beyond ${rotary.context} tokens`,
  );
}

/** File row 2i + j of a head is its row i + j · half. */
function pairedRows(heads: number, headSize: number): Int32Array {
  const half = headSize / 2;
  return Int32Array.from({ length: heads * headSize }, (_, row) => {
    const inHead = row % headSize;
    return row - inHead + Math.floor(inHead / 2) + (inHead % 2) * half;
  });
}

/** Sizes and constants; the tokenizer's part is tokenizer.ts's. */
export function llamaMetadata(
  { decoder }: LlamaLayout,
  config: Readonly<Record<string, unknown>>,
  fileType: number,
): Metadata {
  const { shape, blocks, mlpSize, norm, vocabularySize, rotary } = decoder;
  return {
    'general.architecture': string('llama'),
    'general.type': string('model'),
    'general.quantization_version': uint32(2),
    'general.file_type': uint32(fileType),
    'llama.vocab_size': uint32(vocabularySize),
    'llama.context_length': uint32(contextLength(decoder, config)),
    'llama.embedding_length': uint32(shape.hiddenSize),
    'llama.block_count': uint32(blocks),
    'llama.feed_forward_length': uint32(mlpSize),
    'llama.attention.head_count': uint32(shape.heads),
    'llama.attention.head_count_kv': uint32(shape.keyValueHeads),
    'llama.attention.key_length': uint32(shape.headSize),
    'llama.attention.value_length': uint32(shape.headSize),
    'llama.attention.layer_norm_rms_epsilon': float32(norm.eps),
    'llama.rope.dimension_count': uint32(rotary.channels),
    'llama.rope.freq_base': float32(rotaryBase(config)),
    ...(rotary.attentionFactor === 1
      ? {}
      : { 'llama.rope.scaling.attn_factor': float32(rotary.attentionFactor) }),
  };
}

/** Sliding windows are not part of 'llama': a context that fits into one window needs none. */
function contextLength(
  { maxPositions }: GatedDecoder,
  config: Readonly<Record<string, unknown>>,
): number {
  const { sliding_window: window, use_sliding_window: used, model_type: type } = config;
  const slides = type === 'mistral' ? window !== null : used === true;
  if (!slides) return maxPositions;
  return Math.min(maxPositions, typeof window === 'number' ? window : 4096);
}

function rotaryBase(config: Readonly<Record<string, unknown>>): number {
  const reader = new ConfigReader(config);
  const parameters = reader.object(reader.alias('rope_scaling', 'rope_parameters'));
  return parameters?.has('rope_theta')
    ? parameters.positive('rope_theta')
    : reader.positive('rope_theta', 10_000);
}

/** What llama.cpp divides each pair's plain frequency by; undefined where that is 1 for all. */
export function rotaryFactors(
  { decoder }: LlamaLayout,
  config: Readonly<Record<string, unknown>>,
): Float32Array | undefined {
  const frequencies = decoder.rotary.frequencies(1);
  const base = rotaryBase(config);
  const factors = Float32Array.from(
    frequencies,
    (frequency, i) => base ** (-i / frequencies.length) / frequency,
  );
  return factors.every((factor) => Math.abs(factor - 1) < 1e-5) ? undefined : factors;
}

function refused(expected: string, received: string, others = ''): BallastError {
  return new BallastError(
    'ERR_UNSUPPORTED',
    `Expected ${expected} for format gguf but received ${received}; use ${others}format huggingface or compressed-tensors.`,
  );
}

/** Rows of a [out] or [out, in] tensor in the file's order. */
export function reordered(tensor: Tensor, order: Int32Array | undefined): Tensor {
  const { device, elements } = tensor;
  if (order === undefined) return device.reshape(tensor, tensor.shape);
  return device.scope(() => {
    const matrix = tensor.shape.length === 1 ? device.reshape(tensor, [elements, 1]) : tensor;
    const index = device.upload('int32', [order.length], order);
    const moved = device.selectRows(matrix, index);
    return tensor.shape.length === 1 ? device.reshape(moved, [elements]) : moved;
  });
}
