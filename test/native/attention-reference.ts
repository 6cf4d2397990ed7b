// Attention in float64 as a loop over all pairs, with what bounds on errors are made of, and the cases that every kernel
// is held to: masks, grouped heads, alibi, soft-capping, biases, odd sizes.

import { at, normals } from './harness.js';

export interface Case {
  batch: number;
  sequence: number;
  heads: number;
  keyValueHeads: number;
  headSize: number;
  causal: boolean;
  window: number;
  softcap: number;
  alibi: boolean;
  /** Windows of the bias on scores; 0 for no bias. */
  windows: number;
  /** Mean of the heads' sinks; undefined for none. */
  sinks: number | undefined;
}

export const plain: Case = {
  batch: 1,
  sequence: 70,
  heads: 2,
  keyValueHeads: 2,
  headSize: 32,
  causal: true,
  window: 0,
  softcap: 0,
  alibi: false,
  windows: 0,
  sinks: undefined,
};

export const cases: [string, Partial<Case>][] = [
  ['causal', { batch: 2 }],
  ['a sequence beyond a tile of keys', { sequence: 300, headSize: 16 }],
  ['not causal', { causal: false, sequence: 197 }],
  ['grouped heads', { heads: 4, keyValueHeads: 2, headSize: 24 }],
  ['one key/value head', { heads: 3, keyValueHeads: 1 }],
  ['odd head size', { headSize: 7, sequence: 33 }],
  ['head size 80', { headSize: 80, sequence: 140 }],
  ['window', { window: 20, sequence: 200 }],
  ['window of one token', { window: 1 }],
  ['window, not causal', { window: 5, causal: false }],
  ['soft-capping', { softcap: 2 }],
  ['alibi', { alibi: true }],
  ['all at once', { alibi: true, softcap: 3, window: 40, keyValueHeads: 1, sequence: 150 }],
  ['a bias on scores', { windows: 1, batch: 2, causal: false, sequence: 49 }],
  ['a bias for each of three windows', { windows: 3, batch: 6, sequence: 33 }],
  [
    'a bias beyond a tile of keys',
    { windows: 2, batch: 2, sequence: 150, window: 90, alibi: true },
  ],
  ['heads of 128, several tiles', { headSize: 128, sequence: 150, keyValueHeads: 1 }],
  [
    'heads of 72, all at once',
    { headSize: 72, sequence: 140, alibi: true, softcap: 3, window: 70 },
  ],
  ['heads of 200, several tiles', { headSize: 200, sequence: 90, heads: 1, keyValueHeads: 1 }],
  [
    'heads of 132, all at once',
    { headSize: 132, sequence: 70, softcap: 3, windows: 1, window: 40 },
  ],
  ['one token', { sequence: 1, batch: 3 }],
  ['sinks', { sinks: 1, batch: 2, heads: 4, sequence: 150, headSize: 64 }],
  ['sinks that take nearly all', { sinks: 30, sequence: 20 }],
  ['sinks that take nothing', { sinks: -200, window: 20, sequence: 90, headSize: 128 }],
  ['sinks beside all else', { sinks: 2, softcap: 3, windows: 1, window: 40, alibi: true }],
  ['sinks of a window', { sinks: 1, window: 20, sequence: 200, keyValueHeads: 1, headSize: 200 }],
];

export const slopes = (heads: number) =>
  Array.from({ length: heads }, (_, head) => 2 ** -(head + 1));

/** [heads]. */
export const sinksOf = ({ sinks, heads }: Pick<Case, 'sinks' | 'heads'>) =>
  sinks === undefined ? undefined : normals(heads, 5, 1, sinks);

/** [windows, heads, sequence, sequence]; a few pairs are out of sight. */
export const biases = ({ windows, heads, sequence }: Case) =>
  normals(windows * heads * sequence * sequence, 4).map((value, i) =>
    i % 11 === 3 ? -100 : value,
  );

function scoreOf(
  c: Case,
  head: number,
  product: number,
  query: number,
  key: number,
  bias: number,
): number {
  if ((c.causal && key > query) || (c.window > 0 && query - key >= c.window)) return -Infinity;
  const scaled = product / Math.sqrt(c.headSize);
  const capped = c.softcap > 0 ? c.softcap * Math.tanh(scaled / c.softcap) : scaled;
  return capped + (c.alibi ? at(slopes(c.heads), head) * (key - query) : 0) + bias;
}

/** Query, key and value. */
export type Operands = [Float32Array, Float32Array, Float32Array];

/** An element each, of tensors of tokens. */
export interface Reference {
  readonly out: Float64Array;
  /** Σ_j w_j |v_j|. */
  readonly magnitude: Float64Array;
  /** Σ_j w_j |v_j − out|. */
  readonly spread: Float64Array;
  /** scale · Σ_d |q_d k_d| of the key where that is largest. */
  readonly reach: Float64Array;
}

const known = new Map<string, Reference>();

/** Computed once for each name. */
export function referenceOf(name: string, c: Case, operands: Operands): Reference {
  const found = known.get(name) ?? reference(c, ...operands);
  known.set(name, found);
  return found;
}

function reference(c: Case, q: Float32Array, k: Float32Array, v: Float32Array): Reference {
  const [out, magnitude, spread, reach] = [0, 1, 2, 3].map(() => new Float64Array(q.length)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const bias = biases(c);
  const sinks = sinksOf(c);
  const row = (data: Float32Array, token: number, heads: number, head: number) =>
    data.subarray((token * heads + head) * c.headSize, (token * heads + head + 1) * c.headSize);
  for (let index = 0; index < c.batch * c.heads * c.sequence; ++index) {
    const i = index % c.sequence;
    const head = Math.floor(index / c.sequence) % c.heads;
    const sequence = Math.floor(index / c.sequence / c.heads);
    const shared = Math.floor(head / (c.heads / c.keyValueHeads));
    const query = row(q, sequence * c.sequence + i, c.heads, head);
    const begin = ((sequence * c.sequence + i) * c.heads + head) * c.headSize;
    const scores = Array.from({ length: c.sequence }, (_, j) => {
      const key = row(k, sequence * c.sequence + j, c.keyValueHeads, shared);
      const { product, absolute } = products(query, key);
      reach[begin] = Math.max(at(reach, begin), absolute / Math.sqrt(c.headSize));
      const pair = (((sequence % (c.windows || 1)) * c.heads + head) * c.sequence + i) * c.sequence;
      return scoreOf(c, head, product, i, j, bias[pair + j] ?? 0);
    });
    reach.fill(at(reach, begin), begin, begin + c.headSize);
    const sink = sinks === undefined ? -Infinity : at(sinks, head);
    const top = Math.max(...scores, sink);
    const weights = scores.map((score) => Math.exp(score - top));
    const total = weights.reduce((sum, weight) => sum + weight, Math.exp(sink - top));
    const visible = weights.flatMap((weight, j) =>
      weight === 0
        ? []
        : [[weight / total, row(v, sequence * c.sequence + j, c.keyValueHeads, shared)] as const],
    );
    for (const [weight, value] of visible) addValues(weight, value, begin, out, magnitude);
    for (const [weight, value] of visible) addSpread(weight, value, begin, out, spread);
  }
  return { out, magnitude, spread, reach };
}

// Loops over channels of their own, on arrays of one type each: the references take ten times as long by `at`. What is
// not there makes NaN, which nothing is near.

function products(query: Float32Array, key: Float32Array) {
  let [product, absolute] = [0, 0];
  for (let d = 0; d < query.length; ++d) {
    const term = (query[d] ?? Number.NaN) * (key[d] ?? Number.NaN);
    product += term;
    absolute += Math.abs(term);
  }
  return { product, absolute };
}

function addValues(
  weight: number,
  value: Float32Array,
  begin: number,
  out: Float64Array,
  magnitude: Float64Array,
): void {
  for (let d = 0; d < value.length; ++d) {
    const term = weight * (value[d] ?? Number.NaN);
    out[begin + d] = (out[begin + d] ?? Number.NaN) + term;
    magnitude[begin + d] = (magnitude[begin + d] ?? Number.NaN) + Math.abs(term);
  }
}

function addSpread(
  weight: number,
  value: Float32Array,
  begin: number,
  out: Float64Array,
  spread: Float64Array,
): void {
  for (let d = 0; d < value.length; ++d) {
    const off = Math.abs((value[d] ?? Number.NaN) - (out[begin + d] ?? Number.NaN));
    spread[begin + d] = (spread[begin + d] ?? Number.NaN) + weight * off;
  }
}
