// ERNIE 4.5 without experts: the gated decoder with rotary positions on every other channel; a field gives every linear a bias.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { attentionLinears, behindProjections, biasByConfig, mlpLinears } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readGatedDecoder } from '../read-gated-decoder.js';

export const ernie45: Architecture = {
  modelType: 'ernie4_5',
  biasesNotRead: { vllm: [...attentionLinears, ...mlpLinears], 'llama.cpp': behindProjections },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readGatedDecoder(reader, 'ernie4_5', {
      headSize: 128,
      tiedHead: true,
      eps: 1e-5,
      rotary: { interleaved: true },
    });
    const bias = biasByConfig(reader, 'use_bias');
    const biases = { projections: bias, output: bias, mlp: bias };
    return gatedDecoder({ ...decoder, biases, biasFields: { use_bias: true } }, tensors);
  },
};
