// Windows of a square grid of tokens (Swin, arXiv 2103.14030): which tokens each holds, and what is added to the scores
// of attention within them: a learned bias for each distance, and in shifted windows, which are cut from a grid rolled
// by `shift`, a mask between tokens that only the roll has brought together.

import type { Device, Tensor } from '../device/index.js';
import { inverseOrder } from '../inverse-order.js';
import { expectSize } from './norms.js';
import type { Windows } from './vision-block.js';
import type { Weights } from './weights.js';

interface WindowShape {
  /** Tokens along a side of the grid, and of a window, which divides it. */
  readonly side: number;
  readonly window: number;
  /** Tokens that the grid is rolled by; 0 for none. */
  readonly shift: number;
  readonly heads: number;
  /** Name inside the block of the biases [(2·window − 1)², heads]. */
  readonly table: string;
}

/** As in transformers: out of sight, but finite. */
const masked = -100;

export function windowsOf(shape: WindowShape): Windows {
  const { side, window, shift, heads, table } = shape;
  const tokens = window * window;
  const order = gridOrder(side, window, shift);
  const distances = distancesOf(window);
  const mask = shift > 0 ? maskOf(shape) : undefined;
  return {
    tokens,
    order,
    places: inverseOrder(order),
    table,
    distances,
    mask,
    bias(device: Device, weights: Weights): Tensor {
      const index = device.upload('int32', [distances.length], distances);
      const values = weights.get(table);
      expectSize(values, table, (2 * window - 1) ** 2 * heads);
      const pairs = device.selectRows(values, index);
      const own = device.transpose(pairs);
      if (mask === undefined) return device.reshape(own, [heads * tokens, tokens]);
      const windows = mask.length / (tokens * tokens);
      const rows = (of: (row: number) => number) =>
        device.upload(
          'int32',
          [windows * heads],
          Int32Array.from({ length: windows * heads }, (_, i) => of(i)),
        );
      const masks = device.upload('float32', [windows, tokens * tokens], mask);
      const sum = device.add(
        device.selectRows(
          own,
          rows((i) => i % heads),
        ),
        device.selectRows(
          masks,
          rows((i) => Math.floor(i / heads)),
        ),
      );
      return device.reshape(sum, [windows * heads * tokens, tokens]);
    },
  };
}

/** Tokens of the grid window by window, each row by row, of the grid rolled by `shift` up and to the left. */
function gridOrder(side: number, window: number, shift: number): Int32Array {
  const order = new Int32Array(side * side);
  let at = 0;
  for (let top = 0; top < side; top += window) {
    for (let left = 0; left < side; left += window) {
      for (let y = top; y < top + window; y++) {
        for (let x = left; x < left + window; x++) {
          order[at++] = ((y + shift) % side) * side + ((x + shift) % side);
        }
      }
    }
  }
  return order;
}

/** The row of the table for each (query, key) of a window. */
function distancesOf(window: number): Int32Array {
  const tokens = window * window;
  const span = 2 * window - 1;
  return Int32Array.from({ length: tokens * tokens }, (_, pair) => {
    const [query, key] = [Math.floor(pair / tokens), pair % tokens];
    const down = Math.floor(query / window) - Math.floor(key / window) + window - 1;
    return down * span + (query % window) - (key % window) + window - 1;
  });
}

/** [windows, tokens²]: pairs that lie on two sides of where the rolled grid was joined. */
function maskOf({ side, window, shift }: WindowShape): Float32Array {
  const tokens = window * window;
  const part = (place: number) => Number(place >= side - window) + Number(place >= side - shift);
  // Of the rolled grid, in whose windows tokens lie side by side as in those of a grid that is not rolled.
  const parts = gridOrder(side, window, 0).map(
    (token) => 3 * part(Math.floor(token / side)) + part(token % side),
  );
  return Float32Array.from({ length: parts.length * tokens }, (_, pair) => {
    const [row, key] = [Math.floor(pair / tokens), pair % tokens];
    const first = row - (row % tokens);
    return parts[row] === parts[first + key] ? 0 : masked;
  });
}
