// The fields of config.json that Qwen3-Next and Qwen3.5 have in common: Qwen3 whose attention is linear in all but every
// fourth block, and gated in that, on a quarter of each head's channels turned; norms are around one.

import { BallastError } from '../errors.js';
import type { ConfigReader } from './config-reader.js';
import type { GatedDecoder } from './gated-decoder.js';
import type { LinearAttention } from './linear-attention.js';
import { attentionLinears } from './linear-bias.js';
import { readSharedQwenExperts } from './read-experts.js';
import { type GatedDefaults, readBiases, readGatedDecoder } from './read-gated-decoder.js';

/** vLLM looks for another field than attention_bias, which is never there. */
export const hybridBiasesNotRead = { vllm: attentionLinears };

export function readQwenHybrid(
  reader: ConfigReader,
  modelType: string,
  projections: LinearAttention['projections'],
  defaults: GatedDefaults = {},
): GatedDecoder {
  const decoder = readGatedDecoder(reader, modelType, {
    headSize: 256,
    rotary: {
      share: { field: 'partial_rotary_factor', fallback: 0.25 },
      types: ['default', 'mrope', 'dynamic', 'yarn'],
    },
    ...defaults,
  });
  // Only other programs than transformers read it.
  reader.only('attn_output_gate', true);
  return {
    ...decoder,
    norm: { kind: 'rms', eps: decoder.norm.eps, offset: 1 },
    queryKeyNorms: 'heads',
    gatedAttention: true,
    linearAttention: readLinearAttention(reader, decoder, projections),
    ...readBiases(reader, { mlp: false }),
  };
}

/** Qwen3.5 with experts in all blocks, and one more that all tokens go through. */
export function readQwenHybridExperts(reader: ConfigReader, modelType: string): GatedDecoder {
  const sizes = { size: 512, sharedSize: 512 };
  // No block has a plain MLP, and config.json no size of one.
  const decoder = readQwenHybrid(reader, modelType, 'separate', { mlpSize: sizes.size });
  const mixture = readSharedQwenExperts(reader, decoder, {
    ...{ count: 256, perToken: 8, ...sizes },
    normalized: true,
  });
  return { ...decoder, mixture };
}

function readLinearAttention(
  reader: ConfigReader,
  { blocks, shape, activation, norm }: GatedDecoder,
  projections: LinearAttention['projections'],
): LinearAttention {
  const keyHeads = reader.count('linear_num_key_heads', 16);
  const valueHeads = reader.count('linear_num_value_heads', 32);
  if (valueHeads % keyHeads !== 0) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected linear_num_key_heads to divide linear_num_value_heads in config.json but received ${keyHeads} and ${valueHeads}.`,
    );
  }
  return {
    blocks: readLinearBlocks(reader, blocks),
    hiddenSize: shape.hiddenSize,
    keyHeads,
    keySize: reader.count('linear_key_head_dim', 128),
    valueHeads,
    valueSize: reader.count('linear_value_head_dim', 128),
    taps: reader.count('linear_conv_kernel_dim', 4),
    activation,
    eps: norm.eps,
    projections,
  };
}

function readLinearBlocks(reader: ConfigReader, blocks: number): readonly boolean[] {
  if (reader.has('layer_types')) {
    const kinds = { linear_attention: true, full_attention: false };
    return reader.choices('layer_types', kinds, blocks);
  }
  const interval = reader.count('full_attention_interval', 4);
  return Array.from({ length: blocks }, (_, index) => (index + 1) % interval !== 0);
}
