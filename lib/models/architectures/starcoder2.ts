// StarCoder 2 (arXiv 2402.19173): layer norms, grouped-query attention with rotary positions and one sliding window, an MLP of
// two linears; a field gives every linear a bias.

import { activations } from '../activations.js';
import { readAttentionShape } from '../attention-shape.js';
import { ConfigReader } from '../config-reader.js';
import { layerNormDecoder } from '../layer-norm-decoder.js';
import { biasByConfig, linear } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readRotary } from '../read-rotary.js';
import { projections, rotaryAttention } from '../rotary-attention.js';

export const starcoder2: Architecture = {
  modelType: 'starcoder2',
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const shape = readAttentionShape(reader);
    const { hiddenSize, heads, headSize } = shape;
    const mlpSize = reader.count('intermediate_size');
    const maxPositions = reader.count('max_position_embeddings');
    const rotary = readRotary(reader, { headSize, maxPositions });
    const window = reader.has('sliding_window') ? reader.count('sliding_window') : 0;
    const attention = { shape, scale: headSize ** -0.5 };
    const biases = biasByConfig(reader, 'use_bias', true);
    const root = tensors.has('embed_tokens.weight') ? '' : 'model.';
    const embedding = `${root}embed_tokens.weight`;
    const tied = reader.boolean('tie_word_embeddings', true);
    return layerNormDecoder({
      modelType: 'starcoder2',
      blocks: reader.depth('num_hidden_layers'),
      hiddenSize,
      vocabularySize: reader.count('vocab_size'),
      maxPositions,
      linears: [
        ...projections(shape).map((projection) => ({ ...projection, ...biases })),
        linear('self_attn.o_proj', heads * headSize, hiddenSize, biases),
        linear('mlp.c_fc', hiddenSize, mlpSize, biases),
        linear('mlp.c_proj', mlpSize, hiddenSize, biases),
      ],
      biasFields: { use_bias: true },
      sizes: { ...attention, mlpSize, rotary, window },
      blockList: `${root}layers`,
      norms: { attention: 'input_layernorm', mlp: 'post_attention_layernorm' },
      eps: reader.positive('norm_epsilon', 1e-5),
      parallel: false,
      activation: reader.choice('hidden_act', activations, 'gelu_pytorch_tanh'),
      output: 'self_attn.o_proj',
      mlp: { first: 'mlp.c_fc', last: 'mlp.c_proj' },
      attend: (h, call, context) =>
        rotaryAttention(h, call, context, attention, { rotary, window }),
      embedding,
      finalNorm: `${root}norm`,
      projection: { weight: tied ? embedding : 'lm_head.weight' },
    });
  },
};
