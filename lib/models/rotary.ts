// Rotary position embedding (arXiv 2104.09864): channel pairs (i, i + half) of each head turn by position · frequency_i.
// Tables are rounded where transformers rounds them (float32 frequencies and angles): models were trained with those
// roundings, and at position 8192 an exact angle differs from them by half a thousandth.

import type { Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import { ConfigReader } from './config-reader.js';
import type { BlockContext } from './model.js';
import { type RopeScaling, ropeScalings, type ScaledRotary } from './rope-scaling.js';

export class Rotary {
  readonly #headSize: number;
  readonly #scaled: ScaledRotary;
  #tables: { sequence: number; cos: Float32Array; sin: Float32Array } | undefined;

  constructor(headSize: number, scaled: ScaledRotary) {
    this.#headSize = headSize;
    this.#scaled = scaled;
  }

  /** How many of a head's channels turn. */
  get channels(): number {
    return 2 * this.#scaled.frequencies.length;
  }

  /** What cosines and sines are multiplied by. */
  get attentionFactor(): number {
    return this.#scaled.attentionFactor ?? 1;
  }

  /** Tokens of the longest sequence that turns like shorter ones; Infinity where all do. */
  get context(): number {
    return this.#scaled.long?.context ?? Infinity;
  }

  /** Radians per position of each pair, in sequences of so many tokens. */
  frequencies(sequence: number): readonly number[] {
    const { long, frequencies } = this.#scaled;
    return (long !== undefined && sequence > long.context ? long : { frequencies }).frequencies.map(
      Math.fround,
    );
  }

  /** Queries and keys [tokens, heads · head size], each turned by its token's position. */
  rotate(query: Tensor, key: Tensor, { device, sequence }: BlockContext): [Tensor, Tensor] {
    const tables = this.#tablesOf(sequence);
    const shape = [sequence, this.channels / 2];
    const cos = device.upload('float32', shape, tables.cos);
    const sin = device.upload('float32', shape, tables.sin);
    const options = { sequence, headSize: this.#headSize };
    return [device.rope(query, cos, sin, options), device.rope(key, cos, sin, options)];
  }

  /** Kept from call to call: every block and mini-batch of a run has the same. */
  #tablesOf(sequence: number): { cos: Float32Array; sin: Float32Array } {
    if (this.#tables?.sequence !== sequence) {
      const frequencies = this.frequencies(sequence);
      const half = frequencies.length;
      const angles = new Float32Array(sequence * half);
      frequencies.forEach((frequency, i) => {
        for (let position = 0; position < sequence; position++) {
          angles[position * half + i] = position * frequency;
        }
      });
      const factor = Math.fround(this.attentionFactor);
      const table = (of: (angle: number) => number) =>
        angles.map((angle) => factor * Math.fround(of(angle)));
      this.#tables = { sequence, cos: table(Math.cos), sin: table(Math.sin) };
    }
    return this.#tables;
  }
}

export interface RotarySizes {
  readonly headSize: number;
  readonly maxPositions: number;
}

export interface RotaryFields extends RotarySizes {
  /** The field that holds the base where there is no `rope_parameters`; default 'rope_theta'. */
  readonly baseField?: string;
  /** The base where no field holds it; default 10,000. */
  readonly base?: number;
  /** The field that holds the share of a head's channels that turn, and its default; absent: all of them. */
  readonly share?: { readonly field: string; readonly fallback: number };
  /** The `rope_type`s of the architecture; default: all. */
  readonly types?: readonly string[];
  /** `original_max_position_embeddings` where config.json has none; default: what is said with the parameters. */
  readonly context?: number;
}

/** From `rope_parameters`, or from `rope_theta` and `rope_scaling` as configurations held them before. */
export function readRotary(reader: ConfigReader, fields: RotaryFields): Rotary {
  const section = reader.alias('rope_scaling', 'rope_parameters');
  const parameters = reader.object(section);
  for (const kind of ['full_attention', 'sliding_attention']) {
    if (parameters?.has(kind))
      throw parameters.unsupported(kind, 'the same parameters as all blocks');
  }
  return rotaryOf(reader, parameters, fields);
}

/** With the parameters of some blocks, where not all have the same; plain where there are none. */
export function rotaryOf(
  reader: ConfigReader,
  parameters = new ConfigReader({}),
  fields: RotaryFields,
): Rotary {
  const { headSize, maxPositions, baseField = 'rope_theta', share } = fields;
  const base = parameters.has('rope_theta')
    ? parameters.positive('rope_theta')
    : reader.positive(baseField, fields.base ?? 10_000);
  const channels = rotatedChannels(headSize, readShare(reader, parameters, share));
  const wavelengths = Array.from({ length: channels / 2 }, (_, i) =>
    Math.fround(base ** Math.fround((2 * i) / channels)),
  );
  const outside = 'original_max_position_embeddings';
  const context = reader.has(outside) ? reader.count(outside) : fields.context;
  const scaling = readScaling(parameters, fields.types ?? Object.keys(ropeScalings));
  return new Rotary(headSize, scaling({ wavelengths, base, maxPositions, context }, parameters));
}

function readScaling(parameters: ConfigReader, types: readonly string[]): RopeScaling {
  const typeField = parameters.alias('rope_type', 'type');
  const type = parameters.string(typeField, 'default');
  const scaling = types.includes(type) ? ropeScalings[type] : undefined;
  if (scaling !== undefined) return scaling;
  throw parameters.unsupported(typeField, `one of ${types.join(', ')}`);
}

function readShare(
  reader: ConfigReader,
  parameters: ConfigReader,
  share: RotaryFields['share'],
): number {
  const nested = 'partial_rotary_factor';
  if (share === undefined) {
    for (const each of [reader, parameters]) each.only(nested, 1);
    return 1;
  }
  const { field, fallback } = share;
  return parameters.has(nested) ? parameters.positive(nested) : reader.positive(field, fallback);
}

function rotatedChannels(headSize: number, share: number): number {
  const channels = Math.floor(headSize * share);
  if (channels < 2 || channels % 2 !== 0 || channels > headSize) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected rotary embeddings on an even number of a head's ${headSize} channels but config.json puts them on ${channels}.`,
    );
  }
  return channels;
}
