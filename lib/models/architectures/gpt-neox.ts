// GPT-NeoX and Pythia (arXiv 2204.06745, 2304.01373): rotary positions on a part of each head, attention and MLP in
// parallel with a norm each, one linear for each head's query, key and value in turn.

import { activations } from '../activations.js';
import { attend } from '../attend.js';
import { readAttentionShape } from '../attention-shape.js';
import { ConfigReader } from '../config-reader.js';
import { splitHeads } from '../fused-projection.js';
import { layerNormDecoder } from '../layer-norm-decoder.js';
import { biasByConfig, linear } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readRotary } from '../read-rotary.js';

export const gptNeox: Architecture = {
  modelType: 'gpt_neox',
  relatives: ['codegen', 'gpt_neox_japanese', 'gptj'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const { hiddenSize, heads, headSize } = readAttentionShape(reader);
    const shape = { hiddenSize, heads, keyValueHeads: heads, headSize };
    const maxPositions = reader.count('max_position_embeddings');
    const mlpSize = reader.count('intermediate_size');
    const rotary = readRotary(reader, {
      headSize,
      maxPositions,
      baseField: reader.alias('rotary_emb_base', 'rope_theta'),
      share: { field: 'rotary_pct', fallback: 0.25 },
    });
    const scale = headSize ** -0.5;
    const attentionBias = biasByConfig(reader, 'attention_bias', true);
    const root = tensors.has('embed_in.weight') ? '' : 'gpt_neox.';
    const embedding = `${root}embed_in.weight`;
    const tied = reader.boolean('tie_word_embeddings', false);
    return layerNormDecoder({
      modelType: 'gpt_neox',
      blocks: reader.depth('num_hidden_layers'),
      hiddenSize,
      vocabularySize: reader.count('vocab_size'),
      maxPositions,
      linears: [
        linear('attention.query_key_value', hiddenSize, 3 * hiddenSize, attentionBias),
        linear('attention.dense', hiddenSize, hiddenSize, attentionBias),
        linear('mlp.dense_h_to_4h', hiddenSize, mlpSize),
        linear('mlp.dense_4h_to_h', mlpSize, hiddenSize),
      ],
      biasFields: { attention_bias: true },
      sizes: { shape, mlpSize, scale, rotary, headByHead: true },
      blockList: `${root}layers`,
      norms: { attention: 'input_layernorm', mlp: 'post_attention_layernorm' },
      eps: reader.positive('layer_norm_eps', 1e-5),
      parallel: reader.boolean('use_parallel_residual', true),
      activation: reader.choice('hidden_act', activations, 'gelu'),
      output: 'attention.dense',
      mlp: { first: 'mlp.dense_h_to_4h', last: 'mlp.dense_4h_to_h' },
      attend(h, call, context) {
        const { device, sequence } = context;
        const fused = call('attention.query_key_value', h);
        const [query, key, value] = splitHeads(device, fused, [headSize, headSize, headSize]);
        const [turnedQuery, turnedKey] = rotary.rotate(query, key, context);
        const options = { sequence, heads, scale };
        return attend(context, turnedQuery, turnedKey, value, options);
      },
      embedding,
      finalNorm: `${root}final_layer_norm`,
      projection: { weight: tied ? embedding : 'embed_out.weight' },
    });
  },
};
