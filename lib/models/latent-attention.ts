// Multi-head latent attention (arXiv 2405.04434, section 2.1): keys and values of all heads are made of one narrow latent of
// each token, queries of another where there is one. Positions turn channels of their own, for keys the same of all heads.
// Heads are computed as in training; that latents alone need be kept is of use to generation only.

import type { Tensor } from '../device/index.js';
import { attend } from './attend.js';
import { pickHeads, splitColumns } from './fused-projection.js';
import { type LinearBias, linear, withoutBias } from './linear-bias.js';
import type { BlockContext, Linear, LinearSpec } from './model.js';
import { decoderNorm } from './norms.js';
import type { Rotary } from './rotary.js';
import type { Weights } from './weights.js';

export interface LatentShape {
  readonly hiddenSize: number;
  readonly heads: number;
  /** Channels of the latents; of queries undefined where they are made of hidden states. */
  readonly queryRank: number | undefined;
  readonly keyValueRank: number;
  /** Of a head's query and key, channels that have no positions and those that turn, which come behind. */
  readonly nopeSize: number;
  readonly ropeSize: number;
  /** Channels of a head's value. */
  readonly valueSize: number;
}

const queryDown = 'self_attn.q_a_proj';
const keyValueDown = 'self_attn.kv_a_proj_with_mqa';
const queryNorm = 'self_attn.q_a_layernorm';
const keyValueNorm = 'self_attn.kv_a_layernorm';

/** vLLM owns no bias in latent attention. */
export const latentBiasesNotRead = {
  vllm: [queryDown, keyValueDown, 'self_attn.o_proj'],
} as const;

/** Whatever the decoder's own epsilon: transformers' classes leave these norms the usual one. */
const latentNorm = { kind: 'rms', eps: 1e-6, offset: 0 } as const;

/** In order of execution; `bias` is of those that read hidden states to make latents, and `outputBias` of the last. */
export function latentLinears(
  shape: LatentShape,
  bias: LinearBias,
  outputBias: LinearBias,
): LinearSpec[] {
  const { hiddenSize, heads, queryRank, keyValueRank, nopeSize, ropeSize, valueSize } = shape;
  const ofQueries = heads * (nopeSize + ropeSize);
  const down = linear(keyValueDown, hiddenSize, keyValueRank + ropeSize, bias);
  const queries =
    queryRank === undefined
      ? [linear('self_attn.q_proj', hiddenSize, ofQueries, withoutBias), down]
      : [
          linear(queryDown, hiddenSize, queryRank, bias),
          down,
          linear('self_attn.q_b_proj', queryRank, ofQueries, withoutBias),
        ];
  const ofKeysAndValues = heads * (nopeSize + valueSize);
  return [
    ...queries,
    linear('self_attn.kv_b_proj', keyValueRank, ofKeysAndValues, withoutBias),
    linear('self_attn.o_proj', heads * valueSize, hiddenSize, outputBias),
  ];
}

/** The norms of latents: shapes by the names of their tensors. */
export function latentTensors({ queryRank, keyValueRank }: LatentShape): Record<string, number[]> {
  return {
    ...(queryRank !== undefined && { [`${queryNorm}.weight`]: [queryRank] }),
    [`${keyValueNorm}.weight`]: [keyValueRank],
  };
}

/** h [tokens, hiddenSize] → [tokens, heads · valueSize]. */
export function latentAttention(
  h: Tensor,
  weights: Weights,
  call: Linear,
  context: BlockContext,
  shape: LatentShape,
  { rotary, scale }: { readonly rotary: Rotary; readonly scale: number },
): Tensor {
  const { device, operands, sequence } = context;
  const { heads, queryRank, keyValueRank, nopeSize, ropeSize, valueSize } = shape;
  const normed = (x: Tensor, name: string) =>
    decoderNorm(device, x, weights, name, x.cols, latentNorm, operands);
  // What reads hidden states comes first, as one input group.
  const fromStates = call(queryRank === undefined ? 'self_attn.q_proj' : queryDown, h);
  const widths = [keyValueRank, ropeSize] as const;
  const [latent, sharedKey] = splitColumns(device, call(keyValueDown, h), widths);
  const query =
    queryRank === undefined
      ? fromStates
      : call('self_attn.q_b_proj', normed(fromStates, queryNorm));
  const keyValue = call('self_attn.kv_b_proj', normed(latent, keyValueNorm));

  const querySize = nopeSize + ropeSize;
  const pairSize = nopeSize + valueSize;
  const turning = pickHeads(
    device,
    query,
    heads,
    ropeSize,
    (head, i) => head * querySize + nopeSize + i,
  );
  const [turnedQuery, turnedKey] = rotary.rotate(turning, sharedKey, context);
  /** The first channels of a head from `all`, a head's at every `stride`, and the last ones from what has turned. */
  const assembled = (all: Tensor, stride: number, turned: Tensor, turnedStride: number) => {
    const columnOf = (head: number, i: number) =>
      i < nopeSize ? head * stride + i : all.cols + head * turnedStride + i - nopeSize;
    return pickHeads(device, all, heads, querySize, columnOf, turned);
  };
  return attend(
    context,
    assembled(query, querySize, turnedQuery, ropeSize),
    assembled(keyValue, pairSize, turnedKey, 0),
    pickHeads(device, keyValue, heads, valueSize, (head, i) => head * pairSize + nopeSize + i),
    { sequence, heads, scale },
  );
}
