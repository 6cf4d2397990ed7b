// Work on the host's memory that leaves room for the event loop.

import { setImmediate as nextTurn } from 'node:timers/promises';

/** Values between two turns of the event loop: some 10 ms. */
const valuesPerTurn = 1 << 22;

/** Calls `body` for each row, and lets the event loop run in between. */
export async function inTurns(
  rows: number,
  cols: number,
  body: (row: number) => void,
): Promise<void> {
  const step = Math.max(1, Math.floor(valuesPerTurn / Math.max(1, cols)));
  for (let begin = 0; begin < rows; begin += step) {
    if (begin > 0) await nextTurn();
    const end = Math.min(rows, begin + step);
    for (let row = begin; row < end; row++) body(row);
  }
}
