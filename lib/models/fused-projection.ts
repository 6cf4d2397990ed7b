// What one linear gives side by side: queries, keys and values, or gates and what they multiply.

import type { Device, Tensor } from '../device/index.js';

/** [tokens, sum of widths] → a tensor [tokens, width] for each width, from left to right. */
export function splitColumns<const Widths extends readonly number[]>(
  device: Device,
  fused: Tensor,
  widths: Widths,
): { [Part in keyof Widths]: Tensor } {
  let next = 0;
  const parts = widths.map((width) => {
    const first = next;
    next += width;
    return selected(device, fused, width, (channel) => first + channel);
  });
  return parts as { [Part in keyof Widths]: Tensor };
}

/** [tokens, 3 · heads · headSize], query, key and value of each head in turn → each [tokens, heads · headSize]. */
export function splitHeads(
  device: Device,
  fused: Tensor,
  headSize: number,
): [query: Tensor, key: Tensor, value: Tensor] {
  const part = (which: number) =>
    selected(device, fused, fused.cols / 3, (channel) => {
      const head = Math.floor(channel / headSize);
      return (3 * head + which) * headSize + (channel % headSize);
    });
  return [part(0), part(1), part(2)];
}

function selected(
  device: Device,
  fused: Tensor,
  width: number,
  columnOf: (channel: number) => number,
): Tensor {
  const columns = Int32Array.from({ length: width }, (_, channel) => columnOf(channel));
  return device.selectColumns(fused, device.upload('int32', [width], columns));
}
