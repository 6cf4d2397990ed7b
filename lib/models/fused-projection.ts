// What one linear gives side by side: queries, keys and values, or gates and what they multiply; of all heads, or head by
// head; and columns taken from it.

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
      columnsOf(width, (channel) => first + channel),
    );
  });
  return parts as { [Part in keyof Widths]: Tensor };
}

/**
 * [tokens, heads · sum of sizes], the parts of each head side by side → each part of all heads, [tokens, heads · size].
 */
export function splitHeads<const Sizes extends readonly number[]>(
  device: Device,
  fused: Tensor,
  sizes: Sizes,
): { [Part in keyof Sizes]: Tensor } {
  const heads = fused.cols / sizes.reduce((sum, size) => sum + size, 0);
  const parts = headColumns(heads, sizes).map((columns) => pickColumns(device, fused, columns));
  return parts as { [Part in keyof Sizes]: Tensor };
}

/** Which columns each part is, as above. */
export function headColumns<const Sizes extends readonly number[]>(
  heads: number,
  sizes: Sizes,
): { [Part in keyof Sizes]: Int32Array } {
  const headSize = sizes.reduce((sum, size) => sum + size, 0);
  let next = 0;
  const parts = sizes.map((size) => {
    const first = next;
    next += size;
    return columnsOf(
      heads * size,
      (channel) => Math.floor(channel / size) * headSize + first + (channel % size),
    );
  });
  return parts as { [Part in keyof Sizes]: Int32Array };
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
  return pickColumns(device, x, columns, beside);
}

export function pickColumns(
  device: Device,
  x: Tensor,
  columns: Int32Array,
  beside?: Tensor,
): Tensor {
  return device.selectColumns(x, device.upload('int32', [columns.length], columns), beside);
}

/** A loop: heads have tens of thousands of channels, and each call of a block asks anew. */
function columnsOf(width: number, columnOf: (channel: number) => number): Int32Array {
  const columns = new Int32Array(width);
  for (let channel = 0; channel < width; channel++) columns[channel] = columnOf(channel);
  return columns;
}
