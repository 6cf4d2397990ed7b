// Phi-1, Phi-1.5 and Phi-2 (arXiv 2306.11644, 2309.05463): attention and MLP in parallel after one norm, rotary
// positions on a part of each head, a bias in every linear and in the output projection.

import { activations } from '../activations.js';
import { readAttentionShape } from '../attention-shape.js';
import { ConfigReader } from '../config-reader.js';
import { layerNormDecoder } from '../layer-norm-decoder.js';
import { linear } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readRotary } from '../read-rotary.js';
import { projections, rotaryAttention } from '../rotary-attention.js';

export const phi: Architecture = {
  modelType: 'phi',
  relatives: ['phi-msft'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    reader.only('qk_layernorm', false);
    const shape = readAttentionShape(reader);
    const { hiddenSize, heads, headSize } = shape;
    const mlpSize = reader.count('intermediate_size');
    const maxPositions = reader.count('max_position_embeddings');
    const share = { field: 'partial_rotary_factor', fallback: 0.5 };
    const rotary = readRotary(reader, { headSize, maxPositions, share });
    const attention = { shape, scale: headSize ** -0.5 };

    const root = tensors.has('embed_tokens.weight') ? '' : 'model.';
    const embedding = `${root}embed_tokens.weight`;
    const tied = reader.boolean('tie_word_embeddings', false);
    return layerNormDecoder({
      modelType: 'phi',
      blocks: reader.depth('num_hidden_layers'),
      hiddenSize,
      vocabularySize: reader.count('vocab_size'),
      maxPositions,
      linears: [
        ...projections(shape).map((projection) => ({ ...projection, bias: true })),
        linear('self_attn.dense', heads * headSize, hiddenSize),
        linear('mlp.fc1', hiddenSize, mlpSize),
        linear('mlp.fc2', mlpSize, hiddenSize),
      ],
      sizes: { ...attention, mlpSize, rotary },
      blockList: `${root}layers`,
      norms: { attention: 'input_layernorm', mlp: 'input_layernorm' },
      eps: reader.positive('layer_norm_eps', 1e-5),
      parallel: true,
      activation: reader.choice('hidden_act', activations, 'gelu_new'),
      output: 'self_attn.dense',
      mlp: { first: 'mlp.fc1', last: 'mlp.fc2' },
      attend: (h, call, context) => rotaryAttention(h, call, context, attention, { rotary }),
      embedding,
      finalNorm: `${root}final_layernorm`,
      projection: { weight: tied ? embedding : 'lm_head.weight', bias: 'lm_head.bias' },
    });
  },
};
