// Token windows from a stream of tokens: calibration samples (consecutive from the start, or at seeded random places)
// and evaluation windows (consecutive, all of them). Documents form one stream, joined in their order with nothing
// between.

import { BallastError } from '../errors.js';
import { joined } from '../joined.js';
import { isWhole } from '../option-checks.js';
import { Random } from './random.js';

interface SamplingOptions {
  /** Number of samples, >= 1. */
  readonly samples: number;
  /** Tokens in one sample, >= 1. */
  readonly sequenceLength: number;
  /** `sequential`: sample i is tokens [i·length, (i+1)·length). `random`: distinct uniform starts; may overlap. */
  readonly sampling: 'sequential' | 'random';
  /** Whole number >= 0; for `random` only. The first samples of a seed are the same however many are taken. */
  readonly seed: number;
}

/**
 * `samples` windows of `sequenceLength` tokens of `text`, which is its name in errors: ERR_ARGUMENT for an option out of range,
 * ERR_DATA when there are too few tokens.
 */
export function calibrationSamples(
  tokens: Int32Array | readonly Int32Array[],
  options: SamplingOptions,
  text = 'the text',
): Int32Array[] {
  const { samples, sequenceLength, sampling, seed } = options;
  requireWhole(samples, 1, 'samples');
  requireWhole(sequenceLength, 1, 'sequenceLength');
  requireWhole(seed, 0, 'seed');
  const stream = joinTokens(tokens);
  const starts =
    sampling === 'sequential'
      ? sequentialStarts(text, stream.length, options)
      : randomStarts(text, stream.length, options);
  return starts.map((start) => stream.slice(start, start + sequenceLength));
}

/**
 * All consecutive windows of `sequenceLength` tokens of `text`, which is its name in errors; what remains at the end is dropped.
 * Errors: ERR_ARGUMENT, ERR_DATA when there is not one whole window.
 */
export function evaluationWindows(
  tokens: Int32Array | readonly Int32Array[],
  sequenceLength: number,
  text = 'the text',
): Int32Array[] {
  requireWhole(sequenceLength, 1, 'sequenceLength');
  const stream = joinTokens(tokens);
  const count = Math.floor(stream.length / sequenceLength);
  if (count === 0) {
    throw new BallastError(
      'ERR_DATA',
      `Expected at least one window of ${sequenceLength} tokens but ${text} has ${stream.length}; ` +
        'lower the sequence length or choose a longer text.',
    );
  }
  return Array.from({ length: count }, (_, i) =>
    stream.slice(i * sequenceLength, (i + 1) * sequenceLength),
  );
}

/** One stream of all documents' tokens, in order. */
function joinTokens(tokens: Int32Array | readonly Int32Array[]): Int32Array {
  return tokens instanceof Int32Array ? tokens : joined(tokens);
}

function sequentialStarts(
  text: string,
  length: number,
  { samples, sequenceLength }: SamplingOptions,
): number[] {
  if (length < samples * sequenceLength) {
    throw new BallastError(
      'ERR_DATA',
      `Expected ${samples * sequenceLength} tokens for ${samples} sequential samples of ${sequenceLength} but ${text} ` +
        `has ${length}; lower the number of samples to ${Math.floor(length / sequenceLength)}, lower the sequence ` +
        'length, or choose a longer text.',
    );
  }
  return Array.from({ length: samples }, (_, i) => i * sequenceLength);
}

function randomStarts(
  text: string,
  length: number,
  { samples, sequenceLength, seed }: SamplingOptions,
): number[] {
  const places = length - sequenceLength + 1;
  if (places < samples) {
    throw new BallastError(
      'ERR_DATA',
      `Expected at least ${sequenceLength + samples - 1} tokens for ${samples} random samples of ${sequenceLength} ` +
        `but ${text} has ${length}; lower the number of samples or the sequence length, or choose a longer text.`,
    );
  }
  return sampledPlaces(places, samples, seed);
}

/** `samples` distinct places of 0 … places − 1; the first ones of a seed are the same however many are taken. */
export function sampledPlaces(places: number, samples: number, seed: number): number[] {
  const random = new Random(seed);
  const starts = new Set<number>();
  while (starts.size < samples) starts.add(random.below(places));
  return [...starts];
}

function requireWhole(value: number, least: number, name: string): void {
  const expected = isWhole(least)(value);
  if (expected === undefined) return;
  throw new BallastError('ERR_ARGUMENT', `Expected ${expected} for ${name} but received ${value}.`);
}
