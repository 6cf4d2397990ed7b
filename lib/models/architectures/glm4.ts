// GLM-4-0414: GLM with norms on the outputs of attention and MLP too.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import type { Architecture } from '../model.js';
import { readGlmDecoder } from './glm.js';

export const glm4: Architecture = {
  modelType: 'glm4',
  biasesNotRead: { 'llama.cpp': ['self_attn.o_proj', 'mlp.gate_up_proj', 'mlp.down_proj'] },
  relatives: ['glm4v'],
  read(config, tensors) {
    const decoder = readGlmDecoder(new ConfigReader(config), 'glm4');
    const norms = {
      ...decoder.norms,
      attentionOutput: 'post_self_attn_layernorm',
      mlpOutput: 'post_mlp_layernorm',
    };
    return gatedDecoder({ ...decoder, norms }, tensors);
  },
};
