// Qwen3 (arXiv 2505.09388): the gated decoder with a norm on each head's query and key; a field gives attention biases.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readQwenWindows } from '../qwen-windows.js';
import { readBiases, readGatedDecoder } from '../read-gated-decoder.js';

export const qwen3: Architecture = {
  modelType: 'qwen3',
  biasesNotRead: {
    vllm: ['self_attn.o_proj'],
    'llama.cpp': behindProjections,
  },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readGatedDecoder(reader, 'qwen3', { headSize: 128 });
    return gatedDecoder(
      {
        ...decoder,
        queryKeyNorms: 'heads',
        windows: readQwenWindows(reader, decoder.blocks),
        ...readBiases(reader, { mlp: false }),
      },
      tensors,
    );
  },
};
