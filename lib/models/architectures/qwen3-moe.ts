// Qwen3-MoE (arXiv 2505.09388): Qwen3 with experts.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import type { Architecture } from '../model.js';
import { readQwenWindow } from '../qwen-windows.js';
import { readSoftmaxExperts, readSparseSteps } from '../read-experts.js';
import { readBiases, readGatedDecoder } from '../read-gated-decoder.js';

export const qwen3Moe: Architecture = {
  modelType: 'qwen3_moe',
  biasesNotRead: { vllm: ['self_attn.o_proj'], 'llama.cpp': ['self_attn.o_proj'] },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readGatedDecoder(reader, 'qwen3_moe');
    const window = readQwenWindow(reader);
    const defaults = { count: 128, perToken: 8 };
    const mixture = readSoftmaxExperts(reader, decoder, defaults, {
      sparse: readSparseSteps(reader, decoder.blocks),
      size: reader.count('moe_intermediate_size', 768),
    });
    return gatedDecoder(
      {
        ...decoder,
        queryKeyNorms: 'heads',
        windows: decoder.windows.map(() => window),
        ...readBiases(reader, { mlp: false }),
        mixture,
      },
      tensors,
    );
  },
};
