// What one linear gives side by side: queries, keys and values, or gates and what they multiply; and columns taken from it.

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
    return pickColumns(
      device,
      fused,
      indices(width, (channel) => first + channel),
    );
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
    pickColumns(
      device,
      fused,
      indices(fused.cols / 3, (channel) => {
        const head = Math.floor(channel / headSize);
        return (3 * head + which) * headSize + (channel % headSize);
      }),
    );
  return [part(0), part(1), part(2)];
}

/** Columns of x, and of what is `beside` it where they are counted on. */
export function pickColumns(
  device: Device,
  x: Tensor,
  columns: Int32Array,
  beside?: Tensor,
): Tensor {
  return device.selectColumns(x, device.upload('int32', [columns.length], columns), beside);
}

function indices(width: number, columnOf: (channel: number) => number): Int32Array {
  return Int32Array.from({ length: width }, (_, channel) => columnOf(channel));
}
