// ERNIE 4.5 with experts: chosen by a softmax with a bias that balances them, in every so many blocks of a range.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readExperts, sharedExperts } from '../read-experts.js';
import { readGatedDecoder } from '../read-gated-decoder.js';

export const ernie45Moe: Architecture = {
  modelType: 'ernie4_5_moe',
  biasesNotRead: { 'llama.cpp': behindProjections },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    reader.only('use_bias', false);
    const decoder = readGatedDecoder(reader, 'ernie4_5_moe', {
      tiedHead: true,
      eps: 1e-5,
      rotary: { interleaved: true, base: 500_000 },
    });
    const first = reader.countOrNone('moe_layer_start_index', 1);
    const last = reader.number('moe_layer_end_index', -1);
    const interval = reader.count('moe_layer_interval', 1);
    const size = reader.count('moe_intermediate_size', 1536);
    const shared = reader.countOrNone('moe_num_shared_experts', 2);
    const fields = { count: ['moe_num_experts', 64], perToken: ['moe_k', 6] } as const;
    const mixture = readExperts(reader, decoder, fields, {
      sparse: Array.from(
        { length: decoder.blocks },
        (_, index) =>
          (index + 1) % interval === 0 &&
          index >= first &&
          index <= (last === -1 ? decoder.blocks - 1 : last),
      ),
      size,
      router: { weight: 'mlp.gate.weight', bias: 'mlp.moe_statics.e_score_correction_bias' },
      biasIsRow: true,
      scoring: 'softmax',
      normalized: true,
      shared: sharedExperts(shared, size),
    });
    return gatedDecoder({ ...decoder, mixture }, tensors);
  },
};
