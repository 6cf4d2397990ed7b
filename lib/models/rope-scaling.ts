// How a checkpoint's rotary frequencies were changed to reach longer contexts, by the `rope_type` of config.json. Each
// takes the plain wavelengths and returns what the checkpoint turns by. yarn and longrope round to float32 where
// transformers does. Sources: arXiv 2306.15595 (linear), 2309.00071 (yarn), 2402.13753 (longrope), the Llama 3.1
// release (llama3).

import type { ConfigReader } from './config-reader.js';

interface PlainRotary {
  /** Tokens per radian of each channel pair, its wavelength over 2π: base^(2i / channels). */
  readonly wavelengths: readonly number[];
  readonly base: number;
  readonly maxPositions: number;
  /** `original_max_position_embeddings` beside the parameters, which goes before that inside. */
  readonly context: number | undefined;
}

export interface ScaledRotary {
  /** Radians per position of each channel pair. */
  readonly frequencies: readonly number[];
  /** What cosines and sines are multiplied by; default 1. */
  readonly attentionFactor?: number;
  /** By which word and parameters they were changed, for clients that know the word. */
  readonly stretch?:
    | { readonly type: 'linear'; readonly factor: number }
    | { readonly type: 'yarn'; readonly factor: number; readonly context: number };
  /** What replaces `frequencies` in sequences of more than `context` tokens, for all their positions. */
  readonly long?: { readonly context: number; readonly frequencies: readonly number[] };
}

export type RopeScaling = (plain: PlainRotary, parameters: ConfigReader) => ScaledRotary;

const { fround } = Math;
const frequenciesOf = ({ wavelengths }: PlainRotary) =>
  wavelengths.map((wavelength) => fround(1 / wavelength));

/** Tokens of the sequences that the checkpoint was trained on before it was stretched. */
const contextOf = ({ context, maxPositions }: PlainRotary, parameters: ConfigReader) =>
  context ?? parameters.count('original_max_position_embeddings', maxPositions);

const unscaled: RopeScaling = (plain) => ({ frequencies: frequenciesOf(plain) });

const linear: RopeScaling = (plain, parameters) => {
  const factor = parameters.positive('factor');
  const frequencies = frequenciesOf(plain).map((frequency) => frequency / factor);
  return { frequencies, stretch: { type: 'linear', factor } };
};

/** Long waves are stretched by `factor`, short ones stay, those between move from one to the other. */
const llama3: RopeScaling = (plain, parameters) => {
  const factor = parameters.positive('factor');
  const low = parameters.positive('low_freq_factor');
  const high = parameters.positive('high_freq_factor');
  const context = contextOf(plain, parameters);
  const frequencies = frequenciesOf(plain).map((frequency) => {
    // Turns of this wave in the original context, from `low` (0: stretched) to `high` (1: as it was).
    const turns = (context * frequency) / (2 * Math.PI);
    const share = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return share * frequency + ((1 - share) * frequency) / factor;
  });
  return { frequencies };
};

/** The same idea with a ramp over channel pairs, whatever the sequence's length; attention is sharpened by a factor. */
const yarn: RopeScaling = (plain, parameters) => {
  const { base, wavelengths, maxPositions } = plain;
  const context = contextOf(plain, parameters);
  const factor = parameters.positive('factor', maxPositions / context);
  const channels = 2 * wavelengths.length;
  // The pair that turns so often in the original context.
  const pairOf = (turns: number) =>
    (channels * Math.log(context / (2 * Math.PI * turns))) / (2 * Math.log(base));
  const bounds = [
    pairOf(parameters.positive('beta_fast', 32)),
    pairOf(parameters.positive('beta_slow', 1)),
  ] as const;
  const whole = parameters.boolean('truncate', true);
  const first = Math.max(whole ? Math.floor(bounds[0]) : bounds[0], 0);
  const last = Math.min(whole ? Math.ceil(bounds[1]) : bounds[1], channels - 1);
  // A ramp of no width is a step.
  const width = first === last ? 1e-3 : last - first;
  const frequencies = wavelengths.map((wavelength, pair) => {
    const stretched = fround(Math.min(1, Math.max(0, fround(pair - first) / width)));
    const kept = fround(1 - stretched);
    return (
      fround(fround(1 / fround(factor * wavelength)) * fround(1 - kept)) +
      fround(fround(1 / wavelength) * kept)
    );
  });
  const attentionFactor = yarnAttentionFactor(parameters, factor);
  return { frequencies, attentionFactor, stretch: { type: 'yarn', factor, context } };
};

/** What stretching by `factor` asks queries and keys to be multiplied by, more or less of it by `scale`. */
export function yarnMagnitude(factor: number, scale: number): number {
  return factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1;
}

function yarnAttentionFactor(parameters: ConfigReader, factor: number): number {
  if (parameters.has('attention_factor')) return parameters.positive('attention_factor');
  const scale = parameters.number('mscale', 0);
  const allChannels = parameters.number('mscale_all_dim', 0);
  const both = scale !== 0 && allChannels !== 0;
  return both
    ? yarnMagnitude(factor, scale) / yarnMagnitude(factor, allChannels)
    : yarnMagnitude(factor, 1);
}

/** A factor for each channel pair, one list for sequences within the original context and one for longer ones. */
const longrope: RopeScaling = (plain, parameters) => {
  const { wavelengths, maxPositions } = plain;
  const context = contextOf(plain, parameters);
  const factor = parameters.positive('factor', maxPositions / context);
  const stretched = (field: string) => {
    const factors = parameters.numbers(field, wavelengths.length);
    return wavelengths.map((wavelength, pair) => {
      return fround(1 / fround(fround(factors[pair] ?? 1) * wavelength));
    });
  };
  const usual = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(context));
  return {
    frequencies: stretched('short_factor'),
    long: { context, frequencies: stretched('long_factor') },
    attentionFactor: parameters.positive('attention_factor', usual),
  };
};

/** Of all pairs of a head, the first turn at their own frequencies, a share of them, and the others not at all. */
const proportional: RopeScaling = ({ wavelengths }, parameters) => {
  const turning = Math.floor(parameters.positive('partial_rotary_factor', 1) * wavelengths.length);
  const factor = parameters.positive('factor', 1);
  return {
    frequencies: wavelengths.map((wavelength, pair) =>
      pair < turning ? fround(1 / wavelength) / factor : 0,
    ),
  };
};

export const ropeScalings: Readonly<Record<string, RopeScaling>> = {
  default: unscaled,
  // Departs from the plain frequencies only beyond the longest supported sequence.
  dynamic: unscaled,
  linear,
  llama3,
  longrope,
  // Axes of images, on texts.
  mrope: unscaled,
  proportional,
  // The same, as configurations named it first.
  su: longrope,
  yarn,
};
