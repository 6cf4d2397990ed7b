// Rotary position embedding (arXiv 2104.09864): channel pairs (i, i + half) of each head turn by position · frequency_i.
// Tables are rounded where transformers rounds them (float32 frequencies and angles): models were trained with those
// roundings, and at position 8192 an exact angle differs from them by half a thousandth.

import type { Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import type { ConfigReader } from './config-reader.js';
import type { BlockContext } from './model.js';
import { ropeScalings } from './rope-scaling.js';

export class Rotary {
  readonly #headSize: number;
  /** Radians per position of each pair. */
  readonly frequencies: readonly number[];
  #tables: { sequence: number; cos: Float32Array; sin: Float32Array } | undefined;

  constructor(headSize: number, frequencies: readonly number[]) {
    this.#headSize = headSize;
    this.frequencies = frequencies.map(Math.fround);
  }

  /** Queries and keys [tokens, heads · head size], each turned by its token's position. */
  rotate(query: Tensor, key: Tensor, { device, sequence }: BlockContext): [Tensor, Tensor] {
    const tables = this.#tablesOf(sequence);
    const shape = [sequence, this.frequencies.length];
    const cos = device.upload('float32', shape, tables.cos);
    const sin = device.upload('float32', shape, tables.sin);
    const options = { sequence, headSize: this.#headSize };
    return [device.rope(query, cos, sin, options), device.rope(key, cos, sin, options)];
  }

  /** Kept from call to call: every block and mini-batch of a run has the same. */
  #tablesOf(sequence: number): { cos: Float32Array; sin: Float32Array } {
    if (this.#tables?.sequence !== sequence) {
      const half = this.frequencies.length;
      const angles = new Float32Array(sequence * half);
      this.frequencies.forEach((frequency, i) => {
        for (let position = 0; position < sequence; position++) {
          angles[position * half + i] = position * frequency;
        }
      });
      this.#tables = { sequence, cos: angles.map(Math.cos), sin: angles.map(Math.sin) };
    }
    return this.#tables;
  }
}

export interface RotaryFields {
  readonly headSize: number;
  readonly maxPositions: number;
  /** The field that holds the base where there is no `rope_parameters`; default 'rope_theta'. */
  readonly baseField?: string;
  /** The field that holds the share of a head's channels that turn, and its default; absent: all of them. */
  readonly share?: { readonly field: string; readonly fallback: number };
}

/** From `rope_parameters`, or from `rope_theta` and `rope_scaling` as configurations held them before. */
export function readRotary(reader: ConfigReader, fields: RotaryFields): Rotary {
  const { headSize, maxPositions, baseField = 'rope_theta', share } = fields;
  const section = reader.alias('rope_scaling', 'rope_parameters');
  const parameters = reader.object(section);
  const base = parameters?.has('rope_theta')
    ? parameters.positive('rope_theta')
    : reader.positive(baseField, 10_000);
  const channels = rotatedChannels(headSize, share && readShare(reader, parameters, share));
  // Both steps in float32, see above.
  const frequencies = Array.from({ length: channels / 2 }, (_, i) =>
    Math.fround(1 / Math.fround(base ** Math.fround((2 * i) / channels))),
  );
  if (parameters === undefined) return new Rotary(headSize, frequencies);
  for (const kind of ['full_attention', 'sliding_attention']) {
    if (parameters.has(kind))
      throw parameters.unsupported(kind, 'the same parameters as all blocks');
  }
  const typeField = parameters.alias('rope_type', 'type');
  const type = parameters.string(typeField, 'default');
  const scaling = Object.hasOwn(ropeScalings, type) ? ropeScalings[type] : undefined;
  if (scaling === undefined) {
    throw parameters.unsupported(typeField, `one of ${Object.keys(ropeScalings).join(', ')}`);
  }
  return new Rotary(headSize, scaling(frequencies, parameters, maxPositions));
}

function readShare(
  reader: ConfigReader,
  parameters: ConfigReader | undefined,
  { field, fallback }: { readonly field: string; readonly fallback: number },
): number {
  const nested = 'partial_rotary_factor';
  return parameters?.has(nested) ? parameters.positive(nested) : reader.positive(field, fallback);
}

function rotatedChannels(headSize: number, share = 1): number {
  const channels = Math.floor(headSize * share);
  if (channels < 2 || channels % 2 !== 0 || channels > headSize) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected rotary embeddings on an even number of a head's ${headSize} channels but config.json puts them on ${channels}.`,
    );
  }
  return channels;
}
