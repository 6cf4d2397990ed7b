// MiniMax-M2: Mixtral's blocks with experts that a bias balances, a norm on all heads of query and key together, and rotary
// positions on part of each head.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import type { Architecture } from '../model.js';
import { readExperts } from '../read-experts.js';
import { readGatedDecoder } from '../read-gated-decoder.js';

export const minimaxM2: Architecture = {
  modelType: 'minimax_m2',
  biasesNotRead: { 'llama.cpp': ['self_attn.o_proj'] },
  relatives: ['minimax'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    expectRead(reader);
    const headSize = reader.count('head_dim', 128);
    const rotated = reader.count('rotary_dim', headSize);
    const decoder = readGatedDecoder(reader, 'minimax_m2', {
      headSize,
      rotary: {
        base: 5_000_000,
        share: { field: 'partial_rotary_factor', fallback: rotated / headSize },
      },
    });
    const fields = {
      count: [reader.alias('num_local_experts', 'num_experts'), 256],
      perToken: ['num_experts_per_tok', 8],
    } as const;
    const mixture = readExperts(reader, decoder, fields, {
      size: decoder.mlpSize,
      router: {
        weight: 'block_sparse_moe.gate.weight',
        bias: 'block_sparse_moe.e_score_correction_bias',
      },
      scoring: 'sigmoid',
      normalized: true,
      names: { list: 'block_sparse_moe.experts', gate: 'w1', up: 'w3', down: 'w2' },
    });
    return gatedDecoder({ ...decoder, queryKeyNorms: 'whole', mixture }, tensors);
  },
};

/** Fields of published configurations that transformers takes for what they say there. */
function expectRead(reader: ConfigReader): void {
  reader.only('scoring_func', 'sigmoid');
  reader.only('use_routing_bias', true);
  reader.only('use_qk_norm', true);
  reader.only('qk_norm_type', 'per_layer');
  if (!reader.has('attn_type_list')) return;
  const scores = reader.bits('attn_type_list', reader.depth('num_hidden_layers'));
  if (scores.includes(false)) throw reader.unsupported('attn_type_list', 'a list of ones');
}
