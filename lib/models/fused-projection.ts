// Queries, keys and values that one linear gives side by side.

import type { Device, Tensor } from '../device/index.js';

/** 'blocks': all queries, all keys, all values. 'heads': query, key and value of each head in turn. */
export type FusedOrder = 'blocks' | 'heads';

/** [tokens, 3 · heads · headSize] → query, key and value [tokens, heads · headSize]. */
export function splitProjection(
  device: Device,
  fused: Tensor,
  headSize: number,
  order: FusedOrder,
): [query: Tensor, key: Tensor, value: Tensor] {
  const width = fused.cols / 3;
  const part = (which: number) => {
    const columns = Int32Array.from({ length: width }, (_, channel) => {
      if (order === 'blocks') return which * width + channel;
      const head = Math.floor(channel / headSize);
      return (3 * head + which) * headSize + (channel % headSize);
    });
    return device.selectColumns(fused, device.upload('int32', [width], columns));
  };
  return [part(0), part(1), part(2)];
}
