// Phi-3, Phi-3.5 and Phi-4 (arXiv 2404.14219, 2412.08905, 2503.01743), the language models: the gated decoder with fused
// projections, no biases, rotary positions on a part of each head where a field says so, and LongRoPE for long contexts.

import type { TensorPart } from '../../checkpoint/checkpoint.js';
import { BallastError } from '../../errors.js';
import { ConfigReader } from '../config-reader.js';
import { type GatedDecoder, gatedDecoder } from '../gated-decoder.js';
import { llamaConfig } from '../llama-config.js';
import type { Architecture, Config, Rewrite } from '../model.js';
import { readGatedDecoder } from '../read-gated-decoder.js';
import type { Rotary } from '../rotary.js';

export const phi3: Architecture = {
  modelType: 'phi3',
  biasesNotRead: { 'llama.cpp': ['self_attn.o_proj', 'mlp.gate_up_proj', 'mlp.down_proj'] },
  relatives: ['phi3_v', 'phi3small', 'phi4_multimodal', 'phi4mm', 'phimoe'],
  read: (config, tensors) => gatedDecoder(readDecoder(config), tensors),
  rewrites: { llama: asLlama },
};

function readDecoder(config: Config): GatedDecoder {
  const reader = new ConfigReader(config);
  // Written by some, and not read by transformers: with such biases it would compute something else.
  for (const field of ['attention_bias', 'mlp_bias', 'lm_head_bias']) reader.only(field, false);
  const decoder = readGatedDecoder(reader, 'phi3', {
    eps: 1e-5,
    rotary: {
      share: { field: 'partial_rotary_factor', fallback: 1 },
      types: ['default', 'longrope', 'su'],
      context: 4096,
    },
  });
  const window = reader.positiveOrNone('sliding_window');
  const windows = decoder.windows.map(() => window);
  return { ...decoder, fusedProjections: true, fusedMlp: true, windows };
}

/** The same with fused projections taken apart; exact where whole heads turn. */
function asLlama(config: Config, tensors: ReadonlySet<string>): Rewrite {
  const decoder = readDecoder(config);
  const { rotary, shape, mlpSize, blocks } = decoder;
  if (rotary.channels !== shape.headSize) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected rotary positions on all ${shape.headSize} channels of a head to write a phi3 model as llama but in ` +
        `config.json they are on ${rotary.channels}; write it under its own architecture.`,
    );
  }
  const { blockName } = gatedDecoder(decoder, tensors);
  const shared = shape.keyValueHeads * shape.headSize;
  const projections = { q_proj: shape.heads * shape.headSize, k_proj: shared, v_proj: shared };
  const parts = Array.from({ length: blocks }, (_, index) => [
    ...rowsOf(`${blockName(index)}.self_attn`, 'qkv_proj', projections),
    ...rowsOf(`${blockName(index)}.mlp`, 'gate_up_proj', { gate_proj: mlpSize, up_proj: mlpSize }),
  ]);
  return { config: llamaConfig(withLlamaRope(config, rotary), decoder), parts: parts.flat() };
}

/** Its LongRoPE in LLaMA's words, where it has any: one name, and the original context among the parameters. */
function withLlamaRope(config: Config, { context }: Rotary): Config {
  if (!Number.isFinite(context)) return config;
  const section = new ConfigReader(config).alias('rope_scaling', 'rope_parameters');
  const { type: _, ...parameters } = config[section] as Config;
  const rope = { rope_type: 'longrope', original_max_position_embeddings: context };
  return { ...config, [section]: { ...parameters, ...rope } };
}

/** A fused weight's rows, so many for each linear. */
function rowsOf(module: string, fused: string, linears: Record<string, number>): TensorPart[] {
  let firstRow = 0;
  return Object.entries(linears).map(([linear, rows]) => {
    const name = `${module}.${linear}.weight`;
    const part = { name, source: `${module}.${fused}.weight`, firstRow, rows };
    firstRow += rows;
    return part;
  });
}
