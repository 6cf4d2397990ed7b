// Blocks of two kinds: those that see all tokens and those whose attention slides, with rotary frequencies of their own.
// `rope_parameters` holds an object for each kind; before there was that field, `rope_scaling` was of the former alone.

import { readWindows } from './attention-shape.js';
import type { ConfigReader } from './config-reader.js';
import type { GatedDecoder } from './gated-decoder.js';
import { type RotaryFields, type RotarySizes, rotaryOf } from './read-rotary.js';
import type { Rotary } from './rotary.js';

/** Of blocks that see all tokens. */
export function readGlobalRotary(
  reader: ConfigReader,
  fields: RotarySizes & Pick<RotaryFields, 'base'>,
): Rotary {
  const parameters = reader.object('rope_parameters');
  const scaling = reader.object('rope_scaling');
  for (const field of ['rope_type', 'rope_theta']) {
    parameters?.absent(field, 'none beside full_attention');
  }
  if (parameters !== undefined) reader.absent('rope_scaling', 'null beside rope_parameters');
  // The older name of rope_type alone version 5 of transformers does not read here.
  if (!scaling?.has('rope_type')) scaling?.absent('type', 'rope_type instead');
  return rotaryOf(reader, parameters?.object('full_attention') ?? scaling, fields);
}

interface SlidingFields extends Pick<RotaryFields, 'base' | 'baseField'> {
  /** Every so many blocks one sees all tokens, where `layer_types` does not say which. */
  readonly pattern: number;
}

/** The window of each block; without `layer_types`, every `pattern` blocks one sees all tokens. */
export function readSlidingWindows(
  reader: ConfigReader,
  blocks: number,
  pattern: number,
): readonly number[] {
  const window = reader.positiveOrNull('sliding_window', 4096);
  if (window === 0) throw reader.unsupported('sliding_window', 'a number above 0');
  return readWindows(reader, blocks, window, (index) => (index + 1) % pattern !== 0);
}

/** Windows and rotary frequencies of each block, given a decoder with those of blocks that see all tokens. */
export function readSlidingBlocks(
  reader: ConfigReader,
  { blocks, shape, maxPositions, rotary }: GatedDecoder,
  { pattern, ...base }: SlidingFields,
): Pick<GatedDecoder, 'windows' | 'rotaries'> {
  const windows = readSlidingWindows(reader, blocks, pattern);
  const own = reader.object('rope_parameters')?.object('sliding_attention');
  const sizes = { headSize: shape.headSize, maxPositions };
  const local = rotaryOf(reader, own, { ...sizes, ...base });
  return { windows, rotaries: windows.map((tokens) => (tokens > 0 ? local : rotary)) };
}
