// OPT (arXiv 2205.01068), 125M to 66B. Pre- or post-layer-norm; learned positions that start at row 2 of their
// table; word embeddings of another width than the hidden states, projected in and out (350M).

import type { Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import { activations } from './activations.js';
import { attend } from './attend.js';
import { ConfigReader } from './config-reader.js';
import { hold } from './hold.js';
import { learnedPositions } from './learned-positions.js';
import { biasByConfig, linearSlot } from './linear-bias.js';
import type { Architecture, BlockContext, LanguageModel, Linear } from './model.js';
import { layerNorm, normSlot, normTensors, vectorShapes } from './norms.js';
import type { Weights } from './weights.js';

// The position table's first two rows were reserved for padding by the original training code.
const positionOffset = 2;
const layerNormEps = 1e-5;

function read(
  config: Readonly<Record<string, unknown>>,
  tensors: ReadonlySet<string>,
): LanguageModel {
  const reader = new ConfigReader(config);
  const hiddenSize = reader.count('hidden_size');
  const heads = reader.count('num_attention_heads');
  const mlpSize = reader.count('ffn_dim');
  const preNorm = reader.boolean('do_layer_norm_before', true);
  const activation = reader.choice('activation_function', activations, 'relu');
  const bias = biasByConfig(reader, 'enable_bias', true);
  const hasFinalNorm = preNorm && !reader.boolean('_remove_final_layer_norm', false);
  reader.divides('num_attention_heads', 'hidden_size');

  // Checkpoints saved from the bare decoder lack the leading 'model.'.
  const root = tensors.has('decoder.embed_tokens.weight') ? 'decoder' : 'model.decoder';
  const optional = (...names: string[]) => names.filter((name) => tensors.has(name));
  const embedding = `${root}.embed_tokens.weight`;
  const positionTable = `${root}.embed_positions.weight`;
  const projectIn = `${root}.project_in.weight`;
  const projectOut = `${root}.project_out.weight`;
  const finalNorm = `${root}.final_layer_norm`;
  const untied = optional('lm_head.weight')[0];
  const embeddingSize = reader.count('word_embed_proj_dim', hiddenSize);
  const projected = embeddingSize !== hiddenSize;
  if (projected && !(tensors.has(projectIn) && tensors.has(projectOut))) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `word_embed_proj_dim differs from hidden_size in config.json, but the checkpoint has no ${projectIn} and ${projectOut}.`,
    );
  }
  const linear = (name: string, inChannels: number, outChannels: number) => ({
    name,
    inChannels,
    outChannels,
    ...bias,
  });
  const norm = (device: BlockContext['device'], x: Tensor, weights: Weights, name: string) =>
    layerNorm(device, x, weights, name, layerNormEps);
  const linears = [
    linear('self_attn.q_proj', hiddenSize, hiddenSize),
    linear('self_attn.k_proj', hiddenSize, hiddenSize),
    linear('self_attn.v_proj', hiddenSize, hiddenSize),
    linear('self_attn.out_proj', hiddenSize, hiddenSize),
    linear('fc1', hiddenSize, mlpSize),
    linear('fc2', mlpSize, hiddenSize),
  ];
  const affine = reader.boolean('layer_norm_elementwise_affine', true);
  const affineTensors = (...names: string[]) => (affine ? normTensors(...names) : []);
  const blockTensors = affineTensors('self_attn_layer_norm', 'final_layer_norm');

  function block(x: Tensor, weights: Weights, call: Linear, context: BlockContext) {
    const { device, sequence } = context;
    const attended = () => {
      const h = preNorm ? norm(device, x, weights, 'self_attn_layer_norm') : x;
      const query = call('self_attn.q_proj', h);
      const key = call('self_attn.k_proj', h);
      const value = call('self_attn.v_proj', h);
      const scale = (hiddenSize / heads) ** -0.5;
      return attend(context, query, key, value, { sequence, heads, scale });
    };
    const y = hold(context, 'middle', () => {
      const sum = call('self_attn.out_proj', hold(context, 'attended', attended), { residual: x });
      return preNorm ? sum : norm(device, sum, weights, 'self_attn_layer_norm');
    });
    const inner = hold(context, 'inner', () => {
      const g = preNorm ? norm(device, y, weights, 'final_layer_norm') : y;
      return call('fc1', g, { activation });
    });
    const out = call('fc2', inner, { residual: y });
    return preNorm ? out : norm(device, out, weights, 'final_layer_norm');
  }

  const vocabularySize = reader.count('vocab_size');
  const maxPositions = reader.count('max_position_embeddings');
  const finalNormTensors = hasFinalNorm ? affineTensors(finalNorm) : [];
  const headTensors = [untied ?? embedding, ...finalNormTensors, ...optional(projectOut)];
  const finalStates: LanguageModel['finalStates'] = (x, weights, { device }) =>
    hasFinalNorm ? norm(device, x, weights, finalNorm) : x;
  return {
    modelType: 'opt',
    blocks: reader.count('num_hidden_layers'),
    hiddenSize,
    vocabularySize,
    maxPositions,
    linears,
    blockTensors,
    embedTensors: [embedding, positionTable, ...optional(projectIn)],
    headTensors,
    outerShapes: {
      [embedding]: [vocabularySize, embeddingSize],
      [untied ?? embedding]: [vocabularySize, embeddingSize],
      [positionTable]: [maxPositions + positionOffset, hiddenSize],
      [projectIn]: [hiddenSize, embeddingSize],
      [projectOut]: [embeddingSize, hiddenSize],
      ...vectorShapes(hiddenSize, ...finalNormTensors),
    },
    biasFields: { enable_bias: true },
    slots: {
      attention: linearSlot(linears, 'self_attn.out_proj'),
      mlp: linearSlot(linears, 'fc2'),
      block: preNorm ? linearSlot(linears, 'fc2') : normSlot(blockTensors, 'final_layer_norm'),
      model: hasFinalNorm
        ? normSlot(headTensors, finalNorm)
        : { kind: 'none', reason: 'no norm follows the last block, whose own output they are.' },
    },
    blockName: (index) => `${root}.layers.${index}`,
    embed(ids, weights, context) {
      const { device } = context;
      let x = device.embedding(ids, weights.get(embedding));
      const projection = weights.find(projectIn);
      if (projection !== undefined) x = device.matmul(x, projection);
      const table = weights.get(positionTable);
      return device.add(x, learnedPositions(ids.elements, table, context, positionOffset));
    },
    block,
    finalStates,
    head(x, weights, context) {
      const { device } = context;
      let h = finalStates(x, weights, context);
      const projection = weights.find(projectOut);
      if (projection !== undefined) h = device.matmul(h, projection);
      return device.matmul(h, weights.get(untied ?? embedding));
    },
  };
}

export const opt: Architecture = { modelType: 'opt', read };
