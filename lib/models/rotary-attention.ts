// Attention with rotary positions over separate query, key and value projections, up to the output projection, which is
// the caller's: architectures differ in what they add there.

import type { Tensor } from '../device/index.js';
import { attend } from './attend.js';
import type { AttentionShape } from './attention-shape.js';
import type { BlockContext, Linear } from './model.js';
import type { Rotary } from './rotary.js';

export interface RotaryAttention {
  readonly shape: AttentionShape;
  readonly rotary: Rotary;
  readonly scale: number;
  /** Cap of the scores; 0 for none. */
  readonly softcap?: number;
}

export interface RotaryAttentionCall {
  /** Tokens that a query sees; 0 for all. */
  readonly window?: number;
  /** What is done to queries and keys before they turn. */
  readonly prepare?: (x: Tensor, name: 'q' | 'k') => Tensor;
}

/** h [tokens, hiddenSize] → [tokens, heads · headSize]. */
export function rotaryAttention(
  h: Tensor,
  call: Linear,
  context: BlockContext,
  { shape, rotary, scale, softcap = 0 }: RotaryAttention,
  { window = 0, prepare = (x) => x }: RotaryAttentionCall = {},
): Tensor {
  const [query, key] = rotary.rotate(
    prepare(call('self_attn.q_proj', h), 'q'),
    prepare(call('self_attn.k_proj', h), 'k'),
    context,
  );
  const value = call('self_attn.v_proj', h);
  const { heads, keyValueHeads } = shape;
  return attend(context, query, key, value, {
    sequence: context.sequence,
    heads,
    keyValueHeads,
    scale,
    softcap,
    window,
  });
}

/** The linears that `rotaryAttention` calls, without their biases. */
export function projections({ hiddenSize, heads, keyValueHeads, headSize }: AttentionShape) {
  const projection = (name: string, count: number) => ({
    name: `self_attn.${name}`,
    inChannels: hiddenSize,
    outChannels: count * headSize,
  });
  return [
    projection('q_proj', heads),
    projection('k_proj', keyValueHeads),
    projection('v_proj', keyValueHeads),
  ];
}
