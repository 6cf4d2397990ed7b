// Which linears of an architecture have a bias, can be given one, or neither, and what follows for folding.

import type { ConfigReader } from './config-reader.js';
import type { FoldSlot, LinearSpec } from './model.js';

export type LinearBias = Pick<LinearSpec, 'bias' | 'biasByConfig'>;

export const withBias: LinearBias = { bias: true };
export const withoutBias: LinearBias = { bias: false };

/** The linears of attention in a gated decoder, by their names inside a block. */
export const attentionLinears = ['q', 'k', 'v', 'o'].map((name) => `self_attn.${name}_proj`);

/** Those of its MLP. */
export const mlpLinears = ['gate', 'up', 'down'].map((name) => `mlp.${name}_proj`);

/** Of an architecture whose class in vLLM is LLaMA's: the fields of `readBiases` give biases there, and nowhere else. */
export const biasesOfVllmAlone = { transformers: [...attentionLinears, ...mlpLinears] };

/** All but those that llama.cpp reads a bias of, if there is one, in every gated decoder: query's, key's and value's. */
export const behindProjections = ['self_attn.o_proj', ...mlpLinears];

/** A linear of a block, with a bias unless it is said otherwise. */
export function linear(
  name: string,
  inChannels: number,
  outChannels: number,
  bias: LinearBias = withBias,
): LinearSpec {
  return { name, inChannels, outChannels, ...bias };
}

/** A field of config.json decides. */
export function biasByConfig(reader: ConfigReader, field: string, fallback = false): LinearBias {
  return { bias: reader.boolean(field, fallback), biasByConfig: true };
}

/** The slot that a linear's bias is, where it can have one. */
export function linearSlot(linears: readonly LinearSpec[], name: string): FoldSlot {
  const spec = linears.find((linear) => linear.name === name);
  if (spec?.bias || spec?.biasByConfig) return { kind: 'linear', linear: name };
  return { kind: 'none', reason: `the architecture has no bias in ${name} to fold it into.` };
}
