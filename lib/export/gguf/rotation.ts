// Rotary positions as an architecture of llama.cpp has them: a base, a stretch by one word and its parameters or a factor for each
// pair, and which blocks turn how. Source: llama.cpp's llama-context.cpp and ggml's rope, yarn after arXiv 2309.00071.

import type { Rotary } from '../../models/rotary.js';
import type { GgufArchitecture, Turn } from './architecture.js';
import { float32, type Metadata, string, uint32 } from './metadata.js';
import { globalNames } from './names.js';
import type { Outline } from './outline.js';
import { refused } from './refused.js';

interface Described {
  readonly architecture: GgufArchitecture;
  readonly outline: Outline;
}

const yarnTurns = { fast: 32, slow: 1 };
const tolerance = 1e-4;

/** Whether attention slides where metadata says so. */
export function slidesIn({ windows }: GgufArchitecture, { blocks }: Outline): boolean {
  return windows === true || windows === blocks;
}

/** Error ERR_UNSUPPORTED for positions that the architecture does not have. */
export function rotationMetadata(described: Described): Metadata {
  const { architecture, outline } = described;
  const { rotary } = outline;
  if (rotary === undefined) return {};
  const { name } = architecture;
  expectOneRotation(described, rotary);
  if (rotary.channels !== outline.shape.headSize && !architecture.partialRotary) {
    throw refused(`rotary positions on whole heads in ${name}`, `${rotary.channels} channels`);
  }
  const local = expectTurns(described, rotary);
  const entries = {
    'rope.dimension_count': uint32(rotary.channels),
    'rope.freq_base': float32(rotary.base),
    ...(local && { 'rope.freq_base_swa': float32(local.base) }),
    ...stretchMetadata(architecture, rotary),
    ...queryScaleMetadata(architecture, rotary),
  };
  return Object.fromEntries(
    Object.entries(entries).map(([key, value]) => [`${name}.${key}`, value]),
  );
}

/** llama.cpp chooses between short and long factors by the size of its context, not by the length of a text. */
function expectOneRotation({ architecture, outline }: Described, rotary: Rotary): void {
  const { maxPositions } = outline;
  if (rotary.context >= maxPositions || architecture.rotaryFactors === 'short and long') return;
  throw refused(
    'rotary frequencies that are the same for every sequence',
    `others beyond ${rotary.context} tokens`,
  );
}

/** What local turns are, where there are any. */
function expectTurns({ architecture, outline }: Described, rotary: Rotary): Rotary | undefined {
  const { name, turns = () => 'all', local } = architecture;
  const { rotaries, windows } = outline;
  const anySlides = slidesIn(architecture, outline);
  let found: Rotary | undefined;
  windows.forEach((tokens, index) => {
    const turn: Turn = turns(index, anySlides && tokens > 0, anySlides);
    const own = rotaries === undefined ? rotary : rotaries[index];
    if (turn === 'local') found ??= own;
    const expected = { all: rotary, local: found, none: undefined }[turn];
    if (same(own, expected)) return;
    const words = { all: 'as in the others', local: 'local ones', none: 'none' };
    throw refused(`rotary positions of block ${index} to be ${words[turn]} in ${name}`, 'others');
  });
  if (found === undefined) return undefined;
  const base = local === 'base' ? found.base : rotary.base;
  if (found.attentionFactor === 1 && close(found.frequencies(1), plain(base, found))) return found;
  throw refused(`plain rotary frequencies where ${name} slides`, 'stretched ones');
}

function same(own: Rotary | undefined, expected: Rotary | undefined): boolean {
  if (own === undefined || expected === undefined) return own === expected;
  return (
    own.attentionFactor === expected.attentionFactor &&
    close(own.frequencies(1), expected.frequencies(1))
  );
}

/** Frequencies of a base that nothing stretches. */
function plain(base: number, { channels }: Rotary): number[] {
  return Array.from({ length: channels / 2 }, (_, pair) => base ** ((-2 * pair) / channels));
}

function close(values: readonly number[], others: readonly number[]): boolean {
  return values.every((value, i) => Math.abs(value / (others[i] ?? 0) - 1) < tolerance);
}

/** What llama.cpp divides each pair's plain frequency by, by the tensor's name; none where that is 1 for all, or metadata says it. */
export function rotaryFactors({ architecture, outline }: Described): Map<string, Float32Array> {
  const { rotary } = outline;
  const { rotaryFactors: read } = architecture;
  if (rotary === undefined || read === undefined) return new Map();
  const factors = (tokens: number) => {
    const frequencies = rotary.frequencies(tokens);
    const values = plain(rotary.base, rotary).map((value, i) => value / (frequencies[i] ?? 0));
    return Float32Array.from(values);
  };
  if (read === 'short and long') {
    if (!Number.isFinite(rotary.context)) return new Map();
    return new Map([
      [globalNames.longFactors, factors(rotary.context + 1)],
      [globalNames.shortFactors, factors(1)],
    ]);
  }
  const all = factors(1);
  const needless = all.every((factor) => Math.abs(factor - 1) < 1e-5);
  return needless ? new Map() : new Map([[globalNames.rotaryFactors, all]]);
}

/** Words that every architecture reads; yarn multiplies by its own factor what metadata does not undo. */
function stretchMetadata(architecture: GgufArchitecture, rotary: Rotary): Metadata {
  const { attentionFactor, stretch } = rotary;
  const attention = (factor: number): Metadata =>
    factor === 1 ? {} : { 'rope.scaling.attn_factor': float32(factor) };
  const unstretched = plain(rotary.base, rotary);
  const frequencies = rotary.frequencies(1);
  if (architecture.rotaryFactors === 'short and long' && Number.isFinite(rotary.context)) {
    const context = { 'rope.scaling.original_context_length': uint32(rotary.context) };
    return { ...context, ...attention(attentionFactor) };
  }
  if (architecture.rotaryFactors === 'one' || close(frequencies, unstretched)) {
    return attention(attentionFactor);
  }
  const factor = stretch?.factor ?? 1;
  const words = { 'rope.scaling.factor': float32(factor) };
  if (stretch?.type === 'linear') {
    if (
      close(
        frequencies,
        unstretched.map((value) => value / factor),
      )
    ) {
      return { 'rope.scaling.type': string('linear'), ...words, ...attention(attentionFactor) };
    }
  } else if (stretch?.type === 'yarn') {
    const shares = yarnShares(rotary, stretch.context);
    const expected = unstretched.map((value, i) => {
      const share = shares[i] ?? 0;
      return value * (1 - share) + (value / factor) * share;
    });
    if (close(frequencies, expected)) {
      return {
        'rope.scaling.type': string('yarn'),
        ...words,
        'rope.scaling.original_context_length': uint32(stretch.context),
        ...attention(attentionFactor / (1 + 0.1 * Math.log(factor))),
      };
    }
  }
  throw refused(`plain rotary frequencies, or linear or yarn's, in ${architecture.name}`, 'others');
}

/** How much of each pair is stretched, 0 to 1. */
function yarnShares({ base, channels }: Rotary, context: number): number[] {
  const pairOf = (turns: number) =>
    (channels * Math.log(context / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const first = Math.max(0, Math.floor(pairOf(yarnTurns.fast)));
  const last = Math.min(channels - 1, Math.ceil(pairOf(yarnTurns.slow)));
  const width = Math.max(0.001, last - first);
  return Array.from({ length: channels / 2 }, (_, pair) =>
    Math.min(1, Math.max(0, (pair - first) / width)),
  );
}

function queryScaleMetadata({ name, queryScale }: GgufArchitecture, rotary: Rotary): Metadata {
  const { queryScale: scale } = rotary;
  if (scale === undefined || scale.beta === 0) return {};
  if (!queryScale) throw refused(`queries of one scale in ${name}`, 'some that grow');
  return {
    'attention.temperature_scale': float32(scale.beta),
    'rope.scaling.original_context_length': uint32(scale.context),
  };
}
