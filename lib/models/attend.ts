// Attention by whoever executes the block, as linears are; the device's own where nobody asks for anything else. That has
// one size for all heads: where values have another than queries and keys, the narrower ones get channels of zeros, which
// add nothing to a score, or give zeros that are dropped.

import type { AttentionOptions, Tensor } from '../device/index.js';
import { pickHeads } from './fused-projection.js';
import type { BlockContext } from './model.js';

/** Gives [tokens, heads · channels of a value]. */
export function attend(
  context: BlockContext,
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions,
): Tensor {
  return (
    context.attend?.(query, key, value, options) ?? onDevice(context, query, key, value, options)
  );
}

function onDevice(
  { device, operands: dtype }: BlockContext,
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions,
): Tensor {
  const { heads, keyValueHeads = heads } = options;
  const size = key.cols / keyValueHeads;
  const valueSize = value.cols / keyValueHeads;
  const widest = Math.max(size, valueSize);
  return device.scope(() => {
    const q = withHeadSize(query, heads, widest);
    const k = withHeadSize(key, keyValueHeads, widest);
    const v = withHeadSize(value, keyValueHeads, widest);
    return withHeadSize(device.attention(q, k, v, { ...options, dtype }), heads, valueSize);
  });
}

/** The first channels of each head, and zeros where it has no more. */
function withHeadSize(x: Tensor, heads: number, size: number): Tensor {
  const { device, dtype, rows, cols } = x;
  const own = cols / heads;
  if (own === size) return x;
  const zeros = own < size ? device.zeros(dtype, [rows, 1]) : undefined;
  const columnOf = (head: number, i: number) => (i < own ? head * own + i : cols);
  return pickHeads(device, x, heads, size, columnOf, zeros);
}
