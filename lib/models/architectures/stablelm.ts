// StableLM (arXiv 2402.17834): the gated decoder with layer norms, rotary positions on a part of each head, and attention and MLP
// in parallel where a field says so; a field gives biases to query, key and value.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readGatedDecoder, readProjectionBiases } from '../read-gated-decoder.js';

export const stablelm: Architecture = {
  modelType: 'stablelm',
  biasesNotRead: { 'llama.cpp': behindProjections },
  relatives: ['stablelm_epoch'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    reader.only('qk_layernorm', false);
    const share = { field: 'partial_rotary_factor', fallback: 0.25 };
    const decoder = readGatedDecoder(reader, 'stablelm', { rotary: { share } });
    const parallel = reader.boolean('use_parallel_residual', false);
    const norms = { attention: 'input_layernorm' };
    return gatedDecoder(
      {
        ...decoder,
        norm: { kind: 'layer', eps: reader.positive('layer_norm_eps', 1e-5), bias: true },
        parallel,
        norms: parallel ? norms : { ...norms, mlp: 'post_attention_layernorm' },
        ...readProjectionBiases(reader, 'use_qkv_bias'),
      },
      tensors,
    );
  },
};
