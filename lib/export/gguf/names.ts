// What llama.cpp calls the tensors of a gated decoder. The weights of all experts of a block are one tensor, [experts, out, in].
// Source: gguf-py's constants.

import type { GatedDecoder } from '../../models/gated-decoder.js';

/** Where a linear's weight lies. */
export interface LinearTarget {
  /** Tensors are `blk.<block>.<this>.weight` and `.bias`. */
  readonly name: string;
  /** Its place among the experts in that tensor; absent for what is no expert's. */
  readonly expert?: number;
}

export const globalNames = {
  embedding: 'token_embd.weight',
  head: 'output.weight',
  finalNorm: 'output_norm.weight',
  rotaryFactors: 'rope_freqs.weight',
} as const;

export function inBlock(block: number, name: string): string {
  return `blk.${block}.${name}`;
}

/** By their names inside the block. */
export function linearTargets({ mixture }: GatedDecoder): ReadonlyMap<string, LinearTarget> {
  const targets = new Map<string, LinearTarget>([
    ['self_attn.q_proj', { name: 'attn_q' }],
    ['self_attn.k_proj', { name: 'attn_k' }],
    ['self_attn.v_proj', { name: 'attn_v' }],
    ['self_attn.o_proj', { name: 'attn_output' }],
    ['mlp.gate_proj', { name: 'ffn_gate' }],
    ['mlp.up_proj', { name: 'ffn_up' }],
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
export function blockTensorNames({ mixture }: GatedDecoder): ReadonlyMap<string, string> {
  const names = new Map([
    ['input_layernorm.weight', 'attn_norm.weight'],
    ['post_attention_layernorm.weight', 'ffn_norm.weight'],
    ['self_attn.q_norm.weight', 'attn_q_norm.weight'],
    ['self_attn.k_norm.weight', 'attn_k_norm.weight'],
  ]);
  if (mixture === undefined) return names;
  names.set(mixture.router.weight, 'ffn_gate_inp.weight');
  if (mixture.shared?.gate) names.set(mixture.shared.gate, 'ffn_gate_inp_shexp.weight');
  return names;
}
