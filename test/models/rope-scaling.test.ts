// Stretched rotary frequencies at the sizes of published checkpoints, against what ROPE_INIT_FUNCTIONS of transformers
// 5.23 gives for the same fields.

import { describe, expect, test } from 'vitest';
import { ConfigReader } from '../../lib/models/config-reader.js';
import { readRotary } from '../../lib/models/read-rotary.js';
import type { Rotary } from '../../lib/models/rotary.js';
import type { Config } from './tiny.js';

const rotaryOf = (headSize: number, maxPositions: number, config: Config) =>
  readRotary(new ConfigReader(config), { headSize, maxPositions });

/** A unit in the last place: theirs are float32 as ours, and printed with all digits. */
const ulp = 2 ** -24;

function expectFrequencies(rotary: Rotary, sequence: number, expected: Record<number, number>) {
  const received = rotary.frequencies(sequence);
  for (const [pair, frequency] of Object.entries(expected)) {
    expect(Math.abs((received[Number(pair)] ?? 0) / frequency - 1), pair).toBeLessThan(2 * ulp);
  }
}

describe('yarn', () => {
  const base = { rope_theta: 1e6 };

  test('as Qwen2.5 is stretched fourfold', () => {
    const scaling = { type: 'yarn', factor: 4, original_max_position_embeddings: 32768 };
    const rotary = rotaryOf(128, 32768, { ...base, rope_scaling: scaling });
    expect(rotary.channels).toBe(128);
    expect(rotary.attentionFactor).toBeCloseTo(1.138629436111989, 14);
    expectFrequencies(rotary, 100, {
      0: 1,
      8: 0.17782793939113617,
      20: 0.01333521492779255,
      24: 0.005375321488827467,
      30: 0.0010643609566614032,
      40: 4.4456985051510856e-5,
      63: 3.102344408034696e-7,
    });
    expect(rotary.frequencies(1e5)).toEqual(rotary.frequencies(100));
  });

  test('without a factor, with every option', () => {
    const scaling = {
      rope_type: 'yarn',
      factor: null,
      attention_factor: 1.25,
      truncate: false,
      beta_fast: 16,
      beta_slow: 2,
      original_max_position_embeddings: 16384,
    };
    const rotary = rotaryOf(128, 131072, { ...base, rope_scaling: scaling });
    expect(rotary.attentionFactor).toBe(1.25);
    expectFrequencies(rotary, 100, {
      8: 0.17782793939113617,
      20: 0.01333521492779255,
      24: 0.005417024716734886,
      30: 0.0006441427394747734,
      40: 2.2228492525755428e-5,
      63: 1.551172204017348e-7,
    });
  });
});

describe('longrope', () => {
  const scaling = {
    type: 'longrope',
    short_factor: Array.from({ length: 48 }, (_, i) => 1 + 0.01 * i),
    long_factor: Array.from({ length: 48 }, (_, i) => 1 + 0.5 * i),
  };
  const config = { original_max_position_embeddings: 4096, rope_scaling: scaling };
  const short = { 8: 0.1994846612215042, 24: 0.008064515888690948, 47: 8.24168382678181e-5 };
  const long = { 8: 0.04308868944644928, 24: 0.0007692307699471712, 47: 4.945010459778132e-6 };

  test('short factors up to the original context, long ones beyond, one attention factor', () => {
    const rotary = rotaryOf(96, 131072, config);
    expect(rotary.attentionFactor).toBeCloseTo(1.1902380714238083, 14);
    expect(rotary.context).toBe(4096);
    expectFrequencies(rotary, 4096, short);
    expectFrequencies(rotary, 4097, long);
  });

  test('named su, and with the original context among the parameters', () => {
    const inside = { ...scaling, type: 'su', original_max_position_embeddings: 4096 };
    const rotary = rotaryOf(96, 131072, { rope_scaling: inside });
    expect(rotary.frequencies(4097)).toEqual(rotaryOf(96, 131072, config).frequencies(4097));
    expect(rotary.context).toBe(4096);
    // The field outside goes first.
    const both = rotaryOf(96, 131072, {
      original_max_position_embeddings: 8192,
      rope_scaling: inside,
    });
    expect(both.context).toBe(8192);
  });

  test('no attention factor where the context is not stretched', () => {
    expect(rotaryOf(96, 4096, config).attentionFactor).toBe(1);
  });
});
