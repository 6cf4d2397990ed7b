// How one of llama.cpp's architectures holds a model: names, metadata, and the order of rows of query and key, whose rotary
// pairs stand side by side in some and half a head apart in Hugging Face checkpoints. Sources: llama.cpp's gguf-py constants
// and its models.

import type { Tensor } from '../../device/index.js';
import { BallastError } from '../../errors.js';
import type { GatedDecoder } from '../../models/gated-decoder.js';
import { architectures, type BlockModel, type LanguageModel } from '../../models/index.js';
import { type GgufArchitecture, ggufArchitectures } from './architectures.js';
import { rotaryFactors } from './model-metadata.js';
import { blockTensorNames, inBlock, type LinearTarget, linearTargets } from './names.js';

export interface GgufLayout {
  readonly architecture: GgufArchitecture;
  readonly decoder: GatedDecoder;
  /** Where a linear lies, and for one whose rows are in another order, row by row of the file, the checkpoint's. */
  targetOf(linear: string): LinearTarget & { readonly order: Int32Array | undefined };
  /** The file's name of a tensor that is no linear's. */
  tensorName(block: number, tensor: string): string;
}

/** Error ERR_UNSUPPORTED for a model that llama.cpp's architectures are not. */
export function ggufLayout(
  model: BlockModel,
  config: Readonly<Record<string, unknown>>,
): GgufLayout {
  const { modelType } = model;
  const architecture = ggufArchitectures[modelType];
  const { decoder } = model as LanguageModel;
  if (architecture === undefined || decoder === undefined) {
    const known = architectures.find((other) => other.modelType === modelType);
    const others = known?.rewrites?.llama === undefined ? '' : '--as-llama, or ';
    throw refused(
      `a model of type ${Object.keys(ggufArchitectures).join(', ')}`,
      modelType,
      others,
    );
  }
  if (decoder.activation !== 'silu') throw refused('the activation silu', decoder.activation);
  expectOneRotation(decoder);
  expectSameExperts(decoder, architecture);
  expectPlain(decoder, architecture, config);
  const { heads, keyValueHeads, headSize } = decoder.shape;
  if (architecture.noSharedKeys && keyValueHeads !== heads) {
    throw refused(`${heads} heads of keys and values in ${modelType}`, `${keyValueHeads}`);
  }
  const orders = architecture.pairsRows && {
    'self_attn.q_proj': pairedRows(heads, headSize),
    'self_attn.k_proj': pairedRows(keyValueHeads, headSize),
  };
  const targets = linearTargets(decoder);
  const tensors = blockTensorNames(decoder);
  return {
    architecture,
    decoder,
    targetOf: (linear) => ({
      ...found(targets.get(linear), linear),
      order: orders?.[linear as keyof typeof orders],
    }),
    tensorName: (block, tensor) => inBlock(block, found(tensors.get(tensor), tensor)),
  };
}

function found<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new RangeError(`llama.cpp has no name for ${name}.`);
  return value;
}

/** What no metadata says is fixed. */
function expectSameExperts({ mixture }: GatedDecoder, { name, ...fixed }: GgufArchitecture): void {
  if (mixture === undefined) return;
  if (mixture.sparse.includes(false)) throw refused('experts in every block', 'some without');
  const normalizes = fixed.normalizesExperts === true;
  if (mixture.normalized === normalizes) return;
  throw refused(`norm_topk_prob ${normalizes}, as ${name} computes it,`, `${mixture.normalized}`);
}

/** 'llama' alone reads factors of frequencies, and a context cut to one window is no window. */
function expectPlain(
  decoder: GatedDecoder,
  architecture: GgufArchitecture,
  config: Readonly<Record<string, unknown>>,
): void {
  if (architecture.name === 'llama') return;
  const { windows, maxPositions } = decoder;
  const window = windows.find((tokens) => tokens > 0 && tokens < maxPositions);
  if (window !== undefined) throw refused('no sliding window', `one of ${window} tokens`);
  if (rotaryFactors({ architecture, decoder }, config) === undefined) return;
  throw refused('plain rotary frequencies', 'stretched ones');
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
