// GPT-2 (Radford et al. 2019): learned positions, one linear for queries, keys and values, and weights that are stored
// [in, out] ("Conv1D").

import { activations } from '../activations.js';
import { attend } from '../attend.js';
import { ConfigReader } from '../config-reader.js';
import { splitColumns } from '../fused-projection.js';
import { type LayerNormDecoder, layerNormDecoder } from '../layer-norm-decoder.js';
import { learnedPositions } from '../learned-positions.js';
import { linear } from '../linear-bias.js';
import type { Architecture } from '../model.js';

/** Everything but how attention works and what its linears are. */
type Gpt2Frame = Omit<LayerNormDecoder, 'modelType' | 'linears' | 'attend' | 'sizes'>;

interface Gpt2Sizes {
  readonly hiddenSize: number;
  readonly mlpSize: number;
  readonly heads: number;
  readonly headSize: number;
  /** What query·key is multiplied by. */
  readonly scale: number;
}

/** What GPT-2 and those after it have alike; `activation` is the architecture's own. */
export function readGpt2(
  reader: ConfigReader,
  tensors: ReadonlySet<string>,
  activation: keyof typeof activations,
): { frame: Gpt2Frame; sizes: Gpt2Sizes } {
  reader.only('add_cross_attention', false);
  const sizeField = reader.alias('n_embd', 'hidden_size');
  const headsField = reader.alias('n_head', 'num_attention_heads');
  const hiddenSize = reader.count(sizeField);
  const heads = reader.count(headsField);
  reader.divides(headsField, sizeField);
  const maxPositions = reader.count(reader.alias('n_positions', 'max_position_embeddings'));
  const headSize = hiddenSize / heads;
  const mlpSize = reader.count('n_inner', 4 * hiddenSize);
  const scale = reader.boolean('scale_attn_weights', true) ? headSize ** -0.5 : 1;

  // The first published checkpoints were saved from the bare decoder.
  const root = tensors.has('wte.weight') ? '' : 'transformer.';
  const embedding = `${root}wte.weight`;
  const positions = `${root}wpe.weight`;
  const tied = reader.boolean('tie_word_embeddings', true);
  const frame: Gpt2Frame = {
    blocks: reader.depth(reader.alias('n_layer', 'num_hidden_layers')),
    hiddenSize,
    vocabularySize: reader.count('vocab_size'),
    maxPositions,
    blockList: `${root}h`,
    norms: { attention: 'ln_1', mlp: 'ln_2' },
    eps: reader.positive('layer_norm_epsilon', 1e-5),
    parallel: false,
    activation: reader.choice('activation_function', activations, activation),
    output: 'attn.c_proj',
    mlp: { first: 'mlp.c_fc', last: 'mlp.c_proj' },
    embedding,
    embeddingShapes: { [positions]: [maxPositions, hiddenSize] },
    finishEmbedding: (x, ids, weights, context) =>
      context.device.add(x, learnedPositions(ids.elements, weights.get(positions), context)),
    finalNorm: `${root}ln_f`,
    projection: { weight: tied ? embedding : 'lm_head.weight' },
  };
  return { frame, sizes: { hiddenSize, mlpSize, heads, headSize, scale } };
}

/** With as many channels as query, key and value have together. */
export function gpt2Linears({ hiddenSize, mlpSize }: Gpt2Sizes, projected: number) {
  return [
    linear('attn.c_attn', hiddenSize, projected),
    linear('attn.c_proj', hiddenSize, hiddenSize),
    linear('mlp.c_fc', hiddenSize, mlpSize),
    linear('mlp.c_proj', mlpSize, hiddenSize),
  ];
}

export const gpt2: Architecture = {
  modelType: 'gpt2',
  relatives: ['gpt_neo', 'openai-gpt', 'xglm'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const { frame, sizes } = readGpt2(reader, tensors, 'gelu_new');
    const { hiddenSize, heads, headSize, mlpSize, scale } = sizes;
    const scaleByDepth = reader.boolean('scale_attn_by_inverse_layer_idx', false);
    const scaleOf = (index: number) => (scaleByDepth ? scale / (index + 1) : scale);
    const shape = { hiddenSize, heads, keyValueHeads: heads, headSize };
    return layerNormDecoder({
      ...frame,
      modelType: 'gpt2',
      sizes: { shape, mlpSize, scale: scaleOf(frame.blocks - 1) },
      linears: gpt2Linears(sizes, 3 * hiddenSize).map((spec) => ({ ...spec, layout: 'in_out' })),
      attend(h, call, context, index) {
        const { device, sequence } = context;
        const fused = call('attn.c_attn', h);
        const widths = [hiddenSize, hiddenSize, hiddenSize] as const;
        const [query, key, value] = splitColumns(device, fused, widths);
        const options = { sequence, heads, scale: scaleOf(index) };
        return attend(context, query, key, value, options);
      },
    });
  },
};
