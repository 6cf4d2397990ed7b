// DeepSeek-V2 (arXiv 2405.04434): latent attention, and small experts that a softmax chooses, from the best groups alone where
// `topk_method` says so.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { latentBiasesNotRead } from '../latent-attention.js';
import type { Architecture } from '../model.js';
import { readGroups, readSmallExperts } from '../read-experts.js';
import { readLatentDecoder } from '../read-latent-attention.js';

const methods = ['greedy', 'group_limited_greedy'];

export const deepseekV2: Architecture = {
  modelType: 'deepseek_v2',
  biasesNotRead: latentBiasesNotRead,
  read(config, tensors) {
    const reader = new ConfigReader(config);
    for (const field of ['mlp_bias', 'norm_topk_prob']) reader.only(field, false);
    reader.only('rope_interleave', true);
    reader.only('scoring_func', 'softmax');
    reader.only('moe_layer_freq', 1);
    const decoder = readLatentDecoder(reader, 'deepseek_v2', {
      ...{ queryRank: 1536, nopeSize: 128, valueSize: 128, interleaved: true },
    });
    const defaults = { count: 64, size: 1407, shared: 2, dense: 0 };
    const experts = readSmallExperts(reader, decoder, defaults, {
      router: { weight: 'mlp.gate.weight' },
      scoring: 'softmax',
      normalized: false,
    });
    const method = reader.string('topk_method', 'greedy');
    if (!methods.includes(method)) throw reader.unsupported('topk_method', methods.join(' or '));
    const groups = method === 'greedy' ? undefined : readGroups(reader, experts, 1);
    return gatedDecoder({ ...decoder, mixture: { ...experts, groups } }, tensors);
  },
};
