// Linear attention by the gated delta rule (Gated DeltaNet, arXiv 2412.06464): instead of scores of all tokens before, each
// head has a matrix that forgets by a token's decay and is corrected by what the token writes. Queries, keys and values pass
// a short convolution first. Decay and write strength come of two narrow projections, which stay float: they are a few rows,
// and an error of theirs lasts for all tokens behind.

import type { Activation, Tensor } from '../device/index.js';
import { headColumns, pickColumns, splitHeads } from './fused-projection.js';
import { linear, withoutBias } from './linear-bias.js';
import type { BlockContext, Linear, LinearSpec } from './model.js';
import { decoderNorm } from './norms.js';
import type { Weights } from './weights.js';

export interface LinearAttention {
  /** Which blocks have it; the others have scores. */
  readonly blocks: readonly boolean[];
  readonly hiddenSize: number;
  readonly keyHeads: number;
  readonly keySize: number;
  /** Several of them may read one key head. */
  readonly valueHeads: number;
  readonly valueSize: number;
  /** Tokens that the convolution sees. */
  readonly taps: number;
  /** Of the convolution. */
  readonly activation: Activation;
  readonly eps: number;
  /**
   * 'separate': linears for queries, keys and values together and for gates, a matrix each for decay and write. 'by head':
   * one linear and one matrix for all, each key head's parts side by side.
   */
  readonly projections: 'separate' | 'by head';
}

const names = {
  mixed: 'linear_attn.in_proj_qkv',
  gate: 'linear_attn.in_proj_z',
  all: 'linear_attn.in_proj_qkvz',
  decay: 'linear_attn.in_proj_a.weight',
  write: 'linear_attn.in_proj_b.weight',
  both: 'linear_attn.in_proj_ba.weight',
  convolution: 'linear_attn.conv1d.weight',
  logRate: 'linear_attn.A_log',
  decayBias: 'linear_attn.dt_bias',
  norm: 'linear_attn.norm',
};

export const linearAttentionOutput = 'linear_attn.out_proj';

function widths({ keyHeads, keySize, valueHeads, valueSize }: LinearAttention) {
  const [keys, values] = [keyHeads * keySize, valueHeads * valueSize];
  return { keys, values, mixed: 2 * keys + values };
}

/** In order of execution. */
export function linearAttentionLinears(shape: LinearAttention): LinearSpec[] {
  const { hiddenSize, projections } = shape;
  const { mixed, values } = widths(shape);
  const from = (name: string, channels: number) => linear(name, hiddenSize, channels, withoutBias);
  const first =
    projections === 'separate'
      ? [from(names.mixed, mixed), from(names.gate, values)]
      : [from(names.all, mixed + values)];
  return [...first, linear(linearAttentionOutput, values, hiddenSize, withoutBias)];
}

/** The tensors that are no linears: their shapes, by their names inside the block. */
export function linearAttentionTensors(shape: LinearAttention): Record<string, readonly number[]> {
  const { hiddenSize, valueHeads, valueSize, taps, projections } = shape;
  return {
    ...(projections === 'separate'
      ? { [names.decay]: [valueHeads, hiddenSize], [names.write]: [valueHeads, hiddenSize] }
      : { [names.both]: [2 * valueHeads, hiddenSize] }),
    [names.convolution]: [widths(shape).mixed, 1, taps],
    [names.logRate]: [valueHeads],
    [names.decayBias]: [valueHeads],
    [`${names.norm}.weight`]: [valueSize],
  };
}

/** h [tokens, hiddenSize] → [tokens, valueHeads · valueSize], what the last linear reads. */
export function linearAttention(
  h: Tensor,
  weights: Weights,
  call: Linear,
  context: BlockContext,
  shape: LinearAttention,
): Tensor {
  const { device, sequence, operands } = context;
  const { keyHeads, keySize, valueSize, taps, activation, eps } = shape;
  const { mixed, gate, decay, write } = projected(h, weights, call, context, shape);
  const filter = device.reshape(weights.get(names.convolution), [mixed.cols, taps]);
  const y = device.gatedDeltaRule(
    device.causalConvolution(mixed, filter, { sequence, activation }),
    { decay, write, logRate: weights.get(names.logRate), decayBias: weights.get(names.decayBias) },
    { sequence, keyHeads, keySize },
  );
  const norm = { kind: 'rms', eps, offset: 0 } as const;
  const normed = decoderNorm(device, y, weights, names.norm, valueSize, norm);
  return device.multiply(normed, gate, operands);
}

interface Projected {
  /** Queries, keys and values, each of all heads. */
  readonly mixed: Tensor;
  /** After its activation. */
  readonly gate: Tensor;
  /** [tokens, valueHeads], before their functions. */
  readonly decay: Tensor;
  readonly write: Tensor;
}

function projected(
  h: Tensor,
  weights: Weights,
  call: Linear,
  { device }: BlockContext,
  shape: LinearAttention,
): Projected {
  if (shape.projections === 'separate') {
    return {
      mixed: call(names.mixed, h),
      gate: call(names.gate, h, { activation: 'silu' }),
      decay: device.matmul(h, weights.get(names.decay)),
      write: device.matmul(h, weights.get(names.write)),
    };
  }
  const { keyHeads, keySize, valueHeads, valueSize } = shape;
  const group = valueHeads / keyHeads;
  const all = call(names.all, h);
  const ofValues = group * valueSize;
  const [query, key, value, gate] = headColumns(keyHeads, [keySize, keySize, ofValues, ofValues]);
  const gates = device.matmul(h, weights.get(names.both));
  const [write, decay] = splitHeads(device, gates, [group, group]);
  return {
    mixed: pickColumns(device, all, Int32Array.of(...query, ...key, ...value)),
    gate: device.activate('silu', pickColumns(device, all, gate)),
    decay,
    write,
  };
}
