// Qwen3-VL with experts (arXiv 2511.21631): the language model inside, on texts alone, is Qwen3-MoE. Experts of a block are one
// tensor [experts, in, out], as the authors publish them.

import { ConfigReader } from '../config-reader.js';
import { innerDecoder } from '../inner-decoder.js';
import { withoutBias } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { qwenParts, textRotary } from '../qwen-vision.js';
import { readSoftmaxExperts, readSparseSteps } from '../read-experts.js';
import { readBiases, readGatedDecoder } from '../read-gated-decoder.js';

export const qwen3VlMoe: Architecture = {
  modelType: 'qwen3_vl_moe',
  biasesNotRead: { vllm: ['self_attn.o_proj'] },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const text = reader.section('text_config');
    const decoder = readGatedDecoder(text, 'qwen3_vl_moe', {
      rotary: { ...textRotary, base: 500_000 },
    });
    // The class divides by the sum whatever config.json says.
    text.only('norm_topk_prob', true);
    const defaults = { count: 60, perToken: 4 };
    const mixture = readSoftmaxExperts(text, decoder, defaults, {
      sparse: readSparseSteps(text, decoder.blocks),
      size: text.count('moe_intermediate_size', 1408),
      normalized: true,
      paired: { name: 'gate_up_proj', biases: withoutBias },
    });
    const inner = {
      ...decoder,
      ...readBiases(text, { mlp: false }),
      tiedHead: reader.boolean('tie_word_embeddings', false),
      queryKeyNorms: 'heads' as const,
      mixture,
    };
    return innerDecoder(inner, config, tensors, qwenParts);
  },
};
