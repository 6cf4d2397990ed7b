// Command R (Cohere): the gated decoder with layer norms without biases, attention and MLP in parallel after one norm, rotary
// positions on neighbouring channels and a factor on the logits; a field gives attention biases.

import { ConfigReader } from '../config-reader.js';
import { type GatedDecoder, gatedDecoder } from '../gated-decoder.js';
import { attentionLinears, behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readBiases, readGatedDecoder } from '../read-gated-decoder.js';

export const cohere: Architecture = {
  modelType: 'cohere',
  biasesNotRead: { vllm: attentionLinears, 'llama.cpp': behindProjections },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    reader.only('use_qk_norm', false);
    return gatedDecoder(readCohereDecoder(reader, 'cohere'), tensors);
  },
};

export function readCohereDecoder(reader: ConfigReader, modelType: string): GatedDecoder {
  const decoder = readGatedDecoder(reader, modelType, {
    tiedHead: true,
    rotary: { interleaved: true },
  });
  return {
    ...decoder,
    ...readBiases(reader, { mlp: false }),
    norm: { kind: 'layer', eps: reader.positive('layer_norm_eps', 1e-5), bias: false },
    norms: { attention: 'input_layernorm' },
    parallel: true,
    logitScale: reader.positive('logit_scale', 0.0625),
  };
}
