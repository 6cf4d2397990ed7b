// The sliding windows of Qwen models: off unless a switch is on, then in the blocks from a certain one on.

import { readWindows } from './attention-shape.js';
import type { ConfigReader } from './config-reader.js';

/** `fallback`: the first block with one, where no field says which. */
export function readQwenWindows(
  reader: ConfigReader,
  blocks: number,
  fallback = 28,
): readonly number[] {
  const window = reader.boolean('use_sliding_window', false)
    ? reader.positiveOrNull('sliding_window', 4096)
    : 0;
  const first = reader.number('max_window_layers', fallback);
  return readWindows(reader, blocks, window, (index) => index >= first);
}
