// How one of llama.cpp's architectures holds a model: names, and the order of rows of query and key, whose rotary pairs stand side
// by side in some and half a head apart in others, as in checkpoints. Sources: llama.cpp's gguf-py constants and its models.

import type { Tensor } from '../../device/index.js';
import {
  architectures,
  type BlockModel,
  type Config,
  type LanguageModel,
} from '../../models/index.js';
import type { GgufArchitecture } from './architecture.js';
import { ggufArchitectures } from './architectures.js';
import { modelMetadata } from './model-metadata.js';
import {
  blockTensorNames,
  inBlock,
  type LinearTarget,
  layerNormTargets,
  linearTargets,
  type TensorTarget,
} from './names.js';
import { type Outline, outlineOf } from './outline.js';
import { refused } from './refused.js';

export interface GgufLayout {
  readonly architecture: GgufArchitecture;
  readonly outline: Outline;
  /** Where a linear lies, and for one whose rows are in another order, row by row of the file, the checkpoint's. */
  targetOf(linear: string): LinearTarget & { readonly order: Int32Array | undefined };
  /** Where a tensor lies that is no linear's. */
  tensorTarget(block: number, tensor: string): TensorTarget;
}

/** Error ERR_UNSUPPORTED for a model that llama.cpp's architectures are not. */
export function ggufLayout(model: BlockModel, config: Config): GgufLayout {
  const { modelType } = model;
  const architecture = ggufArchitectures[modelType];
  const { decoder, layerNormDecoder } = model as LanguageModel;
  const outline = outlineOf(model as LanguageModel);
  const named = decoder ?? layerNormDecoder;
  const targets = decoder
    ? linearTargets(decoder)
    : layerNormDecoder && layerNormTargets(layerNormDecoder);
  if (!architecture || !named || !targets || !outline) {
    const known = architectures.find((other) => other.modelType === modelType);
    const others = known?.rewrites?.llama === undefined ? '' : '--as-llama, or ';
    const types = Object.keys(ggufArchitectures).join(', ');
    throw refused(`a model of type ${types}`, modelType, others);
  }
  expectShape(architecture, outline);
  const tensors = blockTensorNames(named, architecture);
  const orders = layerNormDecoder?.sizes.headByHead
    ? new Map([[layerNormDecoder.linears[0]?.name ?? '', headByHead(outline.shape)]])
    : rowOrders(architecture, outline);
  const layout: GgufLayout = {
    architecture,
    outline,
    targetOf: (linear) => ({ ...found(targets.get(linear), linear), order: orders.get(linear) }),
    tensorTarget(block, tensor) {
      const target = found(tensors.get(tensor), tensor);
      return { ...target, name: inBlock(block, target.name) };
    },
  };
  // What metadata cannot say is refused where it is made.
  modelMetadata(layout, config, 0);
  return layout;
}

function found<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new RangeError(`llama.cpp has no name for ${name}.`);
  return value;
}

function expectShape(architecture: GgufArchitecture, outline: Outline): void {
  const { name, activation = 'silu', head, square, noSharedKeys } = architecture;
  const { hiddenSize, heads, keyValueHeads, headSize } = outline.shape;
  if (outline.activation !== activation) {
    throw refused(`the activation ${activation} in ${name}`, outline.activation);
  }
  if (outline.residualAfterNorm) throw refused('residuals that no norm gives', 'others');
  if (head === 'embedding' && !outline.tiedHead) {
    throw refused(`a head that is the embedding in ${name}`, 'one of its own');
  }
  if (noSharedKeys && keyValueHeads !== heads) {
    throw refused(`${heads} heads of keys and values in ${name}`, `${keyValueHeads}`);
  }
  if (square && heads * headSize !== hiddenSize) {
    throw refused(`heads that fill ${hiddenSize} channels in ${name}`, `${heads} of ${headSize}`);
  }
}

function rowOrders({ pairs }: GgufArchitecture, { rotary, shape }: Outline) {
  const stored = rotary?.interleaved ? 'neighbours' : 'halves';
  if (rotary === undefined || stored === pairs) return new Map<string, Int32Array>();
  const { heads, keyValueHeads, headSize } = shape;
  const order = (count: number) => turnedRows(count, headSize, rotary.channels, pairs);
  return new Map([
    ['self_attn.q_proj', order(heads)],
    ['self_attn.k_proj', order(keyValueHeads)],
  ]);
}

/** All queries, then all keys and all values, of what has each head's in turn. */
function headByHead({ heads, headSize }: Outline['shape']): Int32Array {
  return Int32Array.from({ length: 3 * heads * headSize }, (_, row) => {
    const [part, head] = [Math.floor(row / (heads * headSize)), Math.floor(row / headSize) % heads];
    return (3 * head + part) * headSize + (row % headSize);
  });
}

/** The first channels of a head turn: file row 2i + j is the row i + j · half of what stores halves, or the other way round. */
function turnedRows(
  heads: number,
  headSize: number,
  channels: number,
  pairs: GgufArchitecture['pairs'],
): Int32Array {
  const half = channels / 2;
  const from = (row: number) =>
    pairs === 'neighbours'
      ? Math.floor(row / 2) + (row % 2) * half
      : 2 * (row % half) + Math.floor(row / half);
  return Int32Array.from({ length: heads * headSize }, (_, row) => {
    const inHead = row % headSize;
    return inHead < channels ? row - inHead + from(inHead) : row;
  });
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
