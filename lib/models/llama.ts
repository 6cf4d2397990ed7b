// LLaMA 2 and 3 (arXiv 2302.13971, 2307.09288, 2407.21783): the plain gated decoder. Two fields give biases to linears
// that are trained without: what quantization uses to compensate.

import { ConfigReader } from './config-reader.js';
import { gatedDecoder, readGatedDecoder } from './gated-decoder.js';
import { biasByConfig } from './linear-bias.js';
import type { Architecture } from './model.js';

export const llama: Architecture = {
  modelType: 'llama',
  relatives: [
    'baichuan',
    'cohere',
    'deepseek_v2',
    'deepseek_v3',
    'glm',
    'internlm2',
    'stablelm',
    'yi',
  ],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const attention = biasByConfig(reader, 'attention_bias');
    const mlp = biasByConfig(reader, 'mlp_bias');
    const biases = { projections: attention, output: attention, mlp };
    const biasFields = { attention_bias: true, mlp_bias: true } as const;
    return gatedDecoder({ ...readGatedDecoder(reader, 'llama'), biases, biasFields }, tensors);
  },
};
