// Gemma (arXiv 2403.08295): Gemma 2 without its further norms, windows and caps.

import { activations } from '../activations.js';
import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { readGemmaDecoder } from '../gemma-decoder.js';
import { attentionLinears, behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';

export const gemma: Architecture = {
  modelType: 'gemma',
  biasesNotRead: { vllm: attentionLinears, 'llama.cpp': behindProjections },
  relatives: ['recurrent_gemma'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readGemmaDecoder(reader, 'gemma');
    return gatedDecoder(
      {
        ...decoder,
        // The first checkpoints say gelu and mean its approximation, which they were trained with.
        activation: reader.choice(
          'hidden_act',
          { ...activations, gelu: 'gelu_tanh' },
          'gelu_pytorch_tanh',
        ),
        scale: decoder.shape.headSize ** -0.5,
        norms: { attention: 'input_layernorm', mlp: 'post_attention_layernorm' },
      },
      tensors,
    );
  },
};
