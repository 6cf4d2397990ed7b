// Attention by whoever executes the block, as linears are; the device's own where nobody asks for anything else.

import type { AttentionOptions, Tensor } from '../device/index.js';
import type { BlockContext } from './model.js';

export function attend(
  context: BlockContext,
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions,
): Tensor {
  return (
    context.attend?.(query, key, value, options) ??
    context.device.attention(query, key, value, { ...options, dtype: context.operands })
  );
}
