// Qwen3-VL (arXiv 2511.21631): the language model inside, on texts alone, is Qwen3.

import { ConfigReader } from '../config-reader.js';
import { innerDecoder } from '../inner-decoder.js';
import { behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { qwenParts, textRotary } from '../qwen-vision.js';
import { readBiases, readGatedDecoder } from '../read-gated-decoder.js';

export const qwen3Vl: Architecture = {
  modelType: 'qwen3_vl',
  biasesNotRead: { vllm: ['self_attn.o_proj'], 'llama.cpp': behindProjections },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const text = reader.section('text_config');
    const decoder = readGatedDecoder(text, 'qwen3_vl', {
      headSize: 128,
      rotary: { ...textRotary, base: 500_000 },
    });
    const tiedHead = reader.boolean('tie_word_embeddings', false);
    const biases = readBiases(text, { mlp: false });
    const inner = { ...decoder, tiedHead, queryKeyNorms: 'heads' as const, ...biases };
    return innerDecoder(inner, config, tensors, qwenParts);
  },
};
