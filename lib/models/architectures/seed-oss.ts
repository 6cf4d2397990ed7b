// Seed-OSS: the gated decoder with biases in query, key and value; fields give them to the output projection and the MLP too.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { behindProjections, biasByConfig } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readGatedDecoder } from '../read-gated-decoder.js';

export const seedOss: Architecture = {
  modelType: 'seed_oss',
  biasesNotRead: { 'llama.cpp': behindProjections },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readGatedDecoder(reader, 'seed_oss', { headSize: 128 });
    const biases = {
      projections: biasByConfig(reader, 'attention_bias', true),
      output: biasByConfig(reader, 'attention_out_bias'),
      mlp: biasByConfig(reader, 'mlp_bias'),
    };
    const biasFields = { attention_bias: true, attention_out_bias: true, mlp_bias: true };
    return gatedDecoder({ ...decoder, biases, biasFields }, tensors);
  },
};
