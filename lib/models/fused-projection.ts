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
    const columns = columnsOf(width, (channel) => first + channel);
    return selected(device, fused, columns);
  });
  return parts as { [Part in keyof Widths]: Tensor };
}

/** [tokens, 3 · heads · headSize], query, key and value of each head in turn → each [tokens, heads · headSize]. */
export function splitHeads(
  device: Device,
  fused: Tensor,
  headSize: number,
): [query: Tensor, key: Tensor, value: Tensor] {
  const heads = fused.cols / (3 * headSize);
  const part = (which: number) =>
    pickHeads(device, fused, heads, headSize, (head, i) => (3 * head + which) * headSize + i);
  return [part(0), part(1), part(2)];
}

/** Heads side by side of `size` channels each, from columns of x, and of what is `beside` it where they are counted on. */
export function pickHeads(
  device: Device,
  x: Tensor,
  heads: number,
  size: number,
  columnOf: (head: number, channel: number) => number,
  beside?: Tensor,
): Tensor {
  const columns = columnsOf(heads * size, (i) => columnOf(Math.floor(i / size), i % size));
  return selected(device, x, columns, beside);
}

function selected(device: Device, x: Tensor, columns: Int32Array, beside?: Tensor): Tensor {
  return device.selectColumns(x, device.upload('int32', [columns.length], columns), beside);
}

/** A loop: heads have tens of thousands of channels, and each call of a block asks anew. */
function columnsOf(width: number, columnOf: (channel: number) => number): Int32Array {
  const columns = new Int32Array(width);
  for (let channel = 0; channel < width; channel++) columns[channel] = columnOf(channel);
  return columns;
}
