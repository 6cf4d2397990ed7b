// What llama.cpp calls the tensors of a decoder. The weights of all experts of a block are one tensor, [experts, out, in].
// Source: gguf-py's constants.

import type { GatedDecoder } from '../../models/gated-decoder.js';
import type { LayerNormDecoder } from '../../models/layer-norm-decoder.js';
import type { GgufArchitecture } from './architecture.js';

/** Where a linear's weight lies. */
export interface LinearTarget {
  /** Tensors are `blk.<block>.<this>.weight` and `.bias`. */
  readonly name: string;
  /** Its place among the experts in that tensor; absent for what is no expert's. */
  readonly expert?: number;
}

/** Where a tensor that is no linear's lies. */
export interface TensorTarget {
  readonly name: string;
  /** Whether it is a norm's weight, which the file holds whole where the checkpoint holds it less one. */
  readonly scales: boolean;
}

export const globalNames = {
  embedding: 'token_embd.weight',
  positions: 'position_embd.weight',
  embeddingNorm: 'token_embd_norm',
  head: 'output.weight',
  headBias: 'output.bias',
  finalNorm: 'output_norm',
  rotaryFactors: 'rope_freqs.weight',
  longFactors: 'rope_factors_long.weight',
  shortFactors: 'rope_factors_short.weight',
} as const;

export function inBlock(block: number, name: string): string {
  return `blk.${block}.${name}`;
}

/** Of a decoder of layer norms, whose first linear gives query, key and value where no others do. */
export function layerNormTargets({
  linears,
  output,
  mlp,
}: LayerNormDecoder): ReadonlyMap<string, LinearTarget> {
  return new Map([
    ...projectionTargets,
    [linears[0]?.name ?? '', { name: linears.length === fusedLinears ? 'attn_qkv' : 'attn_q' }],
    [output, { name: 'attn_output' }],
    [mlp.first, { name: 'ffn_up' }],
    [mlp.last, { name: 'ffn_down' }],
  ]);
}

/** Of a block where one linear gives query, key and value, and the MLP is two. */
const fusedLinears = 4;

const projectionTargets: readonly (readonly [string, LinearTarget])[] = [
  ['self_attn.q_proj', { name: 'attn_q' }],
  ['self_attn.k_proj', { name: 'attn_k' }],
  ['self_attn.v_proj', { name: 'attn_v' }],
];

/** By their names inside the block. */
export function linearTargets({ mixture }: GatedDecoder): ReadonlyMap<string, LinearTarget> {
  const targets = new Map<string, LinearTarget>([
    ...projectionTargets,
    ['self_attn.qkv_proj', { name: 'attn_qkv' }],
    ['self_attn.o_proj', { name: 'attn_output' }],
    ['mlp.gate_proj', { name: 'ffn_gate' }],
    ['mlp.up_proj', { name: 'ffn_up' }],
    ['mlp.gate_up_proj', { name: 'ffn_up' }],
    ['mlp.down_proj', { name: 'ffn_down' }],
  ]);
  if (mixture === undefined) return targets;
  const { names, count, shared } = mixture;
  for (const part of ['gate', 'up', 'down'] as const) {
    for (let expert = 0; expert < count; expert++) {
      targets.set(`${names.list}.${expert}.${names[part]}`, { name: `ffn_${part}_exps`, expert });
    }
    if (shared) targets.set(`${shared.name}.${names[part]}`, { name: `ffn_${part}_shexp` });
  }
  return targets;
}

/** Of norms and routers, by their names inside the block. */
export function blockTensorNames(
  { norms, mixture }: Pick<GatedDecoder, 'norms' | 'mixture'>,
  { mlpNorm }: GgufArchitecture,
): ReadonlyMap<string, TensorTarget> {
  const places = [
    [norms.mlp, mlpNorm ?? 'ffn_norm'],
    // The MLP's too, where both read one.
    [norms.attention, 'attn_norm'],
    [norms.attentionOutput, 'post_attention_norm'],
    [norms.mlpOutput, 'post_ffw_norm'],
    ['self_attn.q_norm', 'attn_q_norm'],
    ['self_attn.k_norm', 'attn_k_norm'],
  ];
  const names = new Map<string, TensorTarget>(
    places.flatMap(([own, name]): [string, TensorTarget][] =>
      own === undefined
        ? []
        : [
            [`${own}.weight`, { name: `${name}.weight`, scales: true }],
            [`${own}.bias`, { name: `${name}.bias`, scales: false }],
          ],
    ),
  );
  if (mixture === undefined) return names;
  const { router, shared } = mixture;
  names.set(router.weight, { name: 'ffn_gate_inp.weight', scales: false });
  if (router.bias) names.set(router.bias, { name: 'exp_probs_b.bias', scales: false });
  if (shared?.gate) names.set(shared.gate, { name: 'ffn_gate_inp_shexp.weight', scales: false });
  return names;
}
