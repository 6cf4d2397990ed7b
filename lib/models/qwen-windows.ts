// The sliding windows of Qwen models: off unless a switch is on, then in the blocks from a certain one on.

import { readWindows } from './attention-shape.js';
import type { ConfigReader } from './config-reader.js';

/** 0 for none. */
export function readQwenWindow(reader: ConfigReader): number {
  if (!reader.boolean('use_sliding_window', false)) return 0;
  return reader.positiveOrNull('sliding_window', 4096);
}

/** `fallback`: the first block with one, where no field says which. */
export function readQwenWindows(
  reader: ConfigReader,
  blocks: number,
  fallback = 28,
): readonly number[] {
  const window = readQwenWindow(reader);
  const first = reader.number('max_window_layers', fallback);
  return readWindows(reader, blocks, window, (index) => index >= first);
}
