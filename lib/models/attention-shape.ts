// How many heads of which size attention has, and which tokens each block's attention sees.

import type { ConfigReader } from './config-reader.js';

export interface AttentionShape {
  readonly hiddenSize: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
}

/** With `headSize`, heads need not fill the hidden size; otherwise they must divide it. */
export function readAttentionShape(reader: ConfigReader, headSize?: number): AttentionShape {
  const hiddenSize = reader.count('hidden_size');
  const heads = reader.count('num_attention_heads');
  if (!reader.has('head_dim') && headSize === undefined) {
    reader.divides('num_attention_heads', 'hidden_size');
  }
  const keyValueHeads = reader.count('num_key_value_heads', heads);
  if (reader.has('num_key_value_heads')) {
    reader.divides('num_key_value_heads', 'num_attention_heads');
  }
  return {
    hiddenSize,
    heads,
    keyValueHeads,
    headSize: reader.count('head_dim', headSize ?? hiddenSize / heads),
  };
}

/**
 * Tokens that each block's attention sees, 0 for all: `window` where `layer_types` says sliding, or `isSliding` where
 * the configuration has no such list. Nothing slides without a window.
 */
export function readWindows(
  reader: ConfigReader,
  blocks: number,
  window: number,
  isSliding: (index: number) => boolean,
): readonly number[] {
  if (!reader.has('layer_types')) {
    return Array.from({ length: blocks }, (_, index) => (isSliding(index) ? window : 0));
  }
  const windows = { full_attention: 0, ...(window > 0 && { sliding_attention: window }) };
  return reader.choices('layer_types', windows, blocks);
}
