// OLMoE (arXiv 2409.02060): the gated decoder with experts in every block and norms on query and key, each whole; a field
// gives attention biases.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { attentionLinears } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readSoftmaxExperts } from '../read-experts.js';
import { readBiases, readGatedDecoder } from '../read-gated-decoder.js';

export const olmoe: Architecture = {
  modelType: 'olmoe',
  biasesNotRead: { vllm: attentionLinears, 'llama.cpp': ['self_attn.o_proj'] },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    reader.absent('clip_qkv');
    const decoder = readGatedDecoder(reader, 'olmoe', { eps: 1e-5 });
    const defaults = { count: 64, perToken: 8 };
    const mixture = readSoftmaxExperts(reader, decoder, defaults, { size: decoder.mlpSize });
    const biases = readBiases(reader, { mlp: false });
    return gatedDecoder({ ...decoder, queryKeyNorms: 'whole', ...biases, mixture }, tensors);
  },
};
