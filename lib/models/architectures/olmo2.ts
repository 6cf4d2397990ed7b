// OLMo 2 (arXiv 2501.00656): the gated decoder with norms on the outputs of attention and MLP instead of before them, and
// on query and key, each whole; a field gives attention biases.

import { ConfigReader } from '../config-reader.js';
import { type GatedDecoder, gatedDecoder } from '../gated-decoder.js';
import { behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { type GatedDefaults, readBiases, readGatedDecoder } from '../read-gated-decoder.js';

export const olmo2: Architecture = {
  modelType: 'olmo2',
  biasesNotRead: { 'llama.cpp': behindProjections },
  relatives: ['olmo'],
  read: (config, tensors) =>
    gatedDecoder(readOlmoDecoder(new ConfigReader(config), 'olmo2'), tensors),
};

export function readOlmoDecoder(
  reader: ConfigReader,
  modelType: string,
  defaults: GatedDefaults = {},
): GatedDecoder {
  const decoder = readGatedDecoder(reader, modelType, { eps: 1e-5, ...defaults });
  return {
    ...decoder,
    norms: {
      attentionOutput: 'post_attention_layernorm',
      mlpOutput: 'post_feedforward_layernorm',
    },
    queryKeyNorms: 'whole',
    ...readBiases(reader, { mlp: false }),
  };
}
