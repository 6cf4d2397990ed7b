// BLOOM (arXiv 2211.05100): no positions but linear biases on the attention scores, a norm after the embedding, one
// linear for each head's query, key and value in turn.

import { alibiSlopes } from '../alibi.js';
import { attend } from '../attend.js';
import { ConfigReader } from '../config-reader.js';
import { splitHeads } from '../fused-projection.js';
import { layerNormDecoder } from '../layer-norm-decoder.js';
import { linear } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { layerNorm, normTensors, vectorShapes } from '../norms.js';

export const bloom: Architecture = {
  modelType: 'bloom',
  packedNotLoadedBy: ['vllm'],
  relatives: ['falcon', 'mpt'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    reader.only('slow_but_exact', false);
    const sizeField = reader.alias('hidden_size', 'n_embed');
    const headsField = reader.alias('n_head', 'num_attention_heads');
    const hiddenSize = reader.count(sizeField);
    const heads = reader.count(headsField);
    reader.divides(headsField, sizeField);
    const headSize = hiddenSize / heads;
    const scale = headSize ** -0.5;
    const shape = { hiddenSize, heads, keyValueHeads: heads, headSize };
    const slopes = alibiSlopes(heads);
    const eps = reader.positive('layer_norm_epsilon', 1e-5);

    // The published checkpoints were saved from the bare decoder.
    const root = tensors.has('word_embeddings.weight') ? '' : 'transformer.';
    const embedding = `${root}word_embeddings.weight`;
    const embeddingNorm = `${root}word_embeddings_layernorm`;
    const tied = reader.boolean('tie_word_embeddings', true);
    return layerNormDecoder({
      modelType: 'bloom',
      blocks: reader.depth(reader.alias('n_layer', 'num_hidden_layers')),
      hiddenSize,
      vocabularySize: reader.count('vocab_size'),
      maxPositions: Number.POSITIVE_INFINITY,
      linears: [
        linear('self_attention.query_key_value', hiddenSize, 3 * hiddenSize),
        linear('self_attention.dense', hiddenSize, hiddenSize),
        linear('mlp.dense_h_to_4h', hiddenSize, 4 * hiddenSize),
        linear('mlp.dense_4h_to_h', 4 * hiddenSize, hiddenSize),
      ],
      sizes: { shape, mlpSize: 4 * hiddenSize, scale, headByHead: true },
      blockList: `${root}h`,
      norms: { attention: 'input_layernorm', mlp: 'post_attention_layernorm' },
      eps,
      parallel: false,
      residualAfterNorm: reader.boolean('apply_residual_connection_post_layernorm', false),
      activation: 'gelu_tanh',
      output: 'self_attention.dense',
      mlp: { first: 'mlp.dense_h_to_4h', last: 'mlp.dense_4h_to_h' },
      attend(h, call, context) {
        const { device, sequence } = context;
        const fused = call('self_attention.query_key_value', h);
        const [query, key, value] = splitHeads(device, fused, [headSize, headSize, headSize]);
        const slopeTensor = device.upload('float32', [heads], slopes);
        const options = { sequence, heads, scale, alibiSlopes: slopeTensor };
        return attend(context, query, key, value, options);
      },
      embedding,
      embeddingShapes: vectorShapes(hiddenSize, ...normTensors(embeddingNorm)),
      finishEmbedding: (x, _, weights, { device }) =>
        layerNorm(device, x, weights, embeddingNorm, eps),
      finalNorm: `${root}ln_f`,
      projection: { weight: tied ? embedding : 'lm_head.weight' },
    });
  },
};
