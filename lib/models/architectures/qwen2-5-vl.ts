// Qwen2.5-VL (arXiv 2502.13923): the language model inside is Qwen2-VL's.

import { behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readQwen2Vl } from './qwen2-vl.js';

export const qwen25Vl: Architecture = {
  modelType: 'qwen2_5_vl',
  biasesNotRead: { 'llama.cpp': behindProjections },
  relatives: ['qwen2_5_omni'],
  read: (config, tensors) => readQwen2Vl(config, tensors, 'qwen2_5_vl'),
};
