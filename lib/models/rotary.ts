// Rotary position embedding (arXiv 2104.09864): channel pairs (i, i + half) of each head, or neighbours, turn by
// position · frequency_i.
// Tables are rounded where transformers rounds them (float32 frequencies and angles): models were trained with those
// roundings, and at position 8192 an exact angle differs from them by half a thousandth.

import type { Tensor } from '../device/index.js';
import type { BlockContext } from './model.js';
import type { ScaledRotary } from './rope-scaling.js';

/** [sequence, pairs] each. */
interface Tables {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/** Queries are multiplied by 1 + beta·log(1 + ⌊position / context⌋). */
export interface QueryScale {
  readonly beta: number;
  readonly context: number;
}

interface RotaryVariant {
  /** Plain wavelengths are its powers, over 2π. */
  readonly base: number;
  /** Whether channels 2i and 2i + 1 turn together, not i and i + half. */
  readonly interleaved?: boolean;
  /** Where whole heads turn. */
  readonly queryScale?: QueryScale | undefined;
}

export class Rotary {
  readonly base: number;
  readonly interleaved: boolean;
  readonly queryScale: QueryScale | undefined;
  readonly #headSize: number;
  readonly #scaled: ScaledRotary;
  #tables: { sequence: number; query: Tables; key: Tables } | undefined;

  constructor(
    headSize: number,
    scaled: ScaledRotary,
    { base, interleaved = false, queryScale }: RotaryVariant,
  ) {
    this.base = base;
    this.interleaved = interleaved;
    this.queryScale = queryScale;
    this.#headSize = headSize;
    this.#scaled = scaled;
  }

  /** How many of a head's channels turn. */
  get channels(): number {
    return 2 * this.#scaled.frequencies.length;
  }

  /** How frequencies were stretched, where one word and its parameters say it. */
  get stretch(): ScaledRotary['stretch'] {
    return this.#scaled.stretch;
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
    const options = { sequence, headSize: this.#headSize, interleaved: this.interleaved };
    const turned = (x: Tensor, { cos, sin }: Tables) =>
      device.rope(
        x,
        device.upload('float32', shape, cos),
        device.upload('float32', shape, sin),
        options,
      );
    return [turned(query, tables.query), turned(key, tables.key)];
  }

  /** Kept from call to call: every block and mini-batch of a run has the same. */
  #tablesOf(sequence: number): { query: Tables; key: Tables } {
    if (this.#tables?.sequence !== sequence) {
      const key = this.#keyTables(sequence);
      const scale = this.queryScale;
      const pairs = this.channels / 2;
      const scaled = (table: Float32Array) =>
        scale === undefined
          ? table
          : table.map((value, i) => value * Math.fround(scaleAt(scale, Math.floor(i / pairs))));
      this.#tables = { sequence, key, query: { cos: scaled(key.cos), sin: scaled(key.sin) } };
    }
    return this.#tables;
  }

  #keyTables(sequence: number): Tables {
    const frequencies = this.frequencies(sequence);
    const pairs = frequencies.length;
    const angles = new Float32Array(sequence * pairs);
    frequencies.forEach((frequency, i) => {
      for (let position = 0; position < sequence; position++) {
        angles[position * pairs + i] = position * frequency;
      }
    });
    const factor = Math.fround(this.attentionFactor);
    const table = (of: (angle: number) => number) =>
      angles.map((angle) => factor * Math.fround(of(angle)));
    return { cos: table(Math.cos), sin: table(Math.sin) };
  }
}

function scaleAt({ beta, context }: QueryScale, position: number): number {
  return 1 + beta * Math.log(1 + Math.floor(position / context));
}
