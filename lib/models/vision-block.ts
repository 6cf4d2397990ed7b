// The pre-norm block of vision transformers (arXiv 2010.11929): attention and an MLP of two linears, each added to what
// it reads. Attention is among all tokens of an image, or, where the block has windows (arXiv 2103.14030), among those
// of each window: tokens are then gathered window by window before queries, keys and values are formed, and back after.

import type { Activation, AttentionOptions, Device, Tensor } from '../device/index.js';
import { attend } from './attend.js';
import { hold } from './hold.js';
import type { BlockContext, Linear } from './model.js';
import { layerNorm } from './norms.js';
import type { Weights } from './weights.js';

export interface VisionBlock {
  readonly names: Readonly<Record<'query' | 'key' | 'value' | 'output' | 'first' | 'last', string>>;
  readonly norms: readonly [attention: string, mlp: string];
  readonly heads: number;
  readonly headSize: number;
  readonly activation: Activation;
  readonly eps: number;
  /** Absent where all tokens of an image see each other. */
  readonly windows?: Windows;
}

export interface Windows {
  /** Tokens of a window. */
  readonly tokens: number;
  /** For each row of an image's windows one after the other, which of the image's tokens it is. */
  readonly order: Int32Array;
  /** And for each token of the image, which of those rows. */
  readonly places: Int32Array;
  /** Name inside the block of the learned biases [distances, heads], and the row of them for each pair of tokens. */
  readonly table: string;
  readonly distances: Int32Array;
  /** [windows, tokens²] on scores besides; absent where nothing is masked. */
  readonly mask?: Float32Array | undefined;
  /** Both on scores: [windows·heads·tokens, tokens] float32. */
  bias(device: Device, weights: Weights): Tensor;
}

export function attentionOptions(
  { heads, headSize, windows }: VisionBlock,
  weights: Weights,
  { device, sequence }: BlockContext,
): AttentionOptions {
  return {
    sequence: windows?.tokens ?? sequence,
    heads,
    scale: headSize ** -0.5,
    causal: false,
    bias: windows?.bias(device, weights),
  };
}

/** Rows of each image in another order; `x` itself where there is none. */
export function arrange(device: Device, x: Tensor, order: Int32Array | undefined): Tensor {
  if (order === undefined) return x;
  const tokens = order.length;
  const rows = Int32Array.from({ length: x.rows }, (_, row) => {
    const place = row % tokens;
    return row - place + (order[place] ?? 0);
  });
  return device.selectRows(x, device.upload('int32', [rows.length], rows));
}

export function visionBlock(
  block: VisionBlock,
  x: Tensor,
  weights: Weights,
  call: Linear,
  context: BlockContext,
): Tensor {
  const { names, norms, activation, eps, windows } = block;
  const { device, operands } = context;
  const norm = (input: Tensor, name: string) =>
    layerNorm(device, input, weights, name, eps, operands);
  const attended = () => {
    const h = arrange(device, norm(x, norms[0]), windows?.order);
    const [query, key, value] = [call(names.query, h), call(names.key, h), call(names.value, h)];
    const options = attentionOptions(block, weights, context);
    const mixed = attend(context, query, key, value, options);
    return arrange(device, mixed, windows?.places);
  };
  const y = hold(context, 'middle', () =>
    call(names.output, hold(context, 'attended', attended), { residual: x }),
  );
  const inner = hold(context, 'inner', () =>
    call(names.first, norm(y, norms[1]), { activation, dtype: operands }),
  );
  return call(names.last, inner, { residual: y });
}
