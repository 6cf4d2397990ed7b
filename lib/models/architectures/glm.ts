// GLM-4 9B in the words of transformers (arXiv 2406.12793): the gated decoder with rotary positions on every other channel of
// half of each head, gate and up as one linear, and biases in query, key and value.

import { ConfigReader } from '../config-reader.js';
import { type GatedDecoder, gatedDecoder } from '../gated-decoder.js';
import type { Architecture } from '../model.js';
import { readGatedDecoder, readProjectionBiases } from '../read-gated-decoder.js';

export const glm: Architecture = {
  modelType: 'glm',
  biasesNotRead: { 'llama.cpp': ['self_attn.o_proj', 'mlp.gate_up_proj', 'mlp.down_proj'] },
  relatives: ['chatglm'],
  read: (config, tensors) => gatedDecoder(readGlmDecoder(new ConfigReader(config), 'glm'), tensors),
};

export function readGlmDecoder(reader: ConfigReader, modelType: string): GatedDecoder {
  const share = { field: 'partial_rotary_factor', fallback: 0.5 };
  const decoder = readGatedDecoder(reader, modelType, {
    headSize: 128,
    eps: 1.5625e-7,
    rotary: { share, interleaved: true },
  });
  return {
    ...decoder,
    fusedMlp: true,
    ...readProjectionBiases(reader, 'attention_bias', true),
  };
}
