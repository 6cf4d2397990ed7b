// OPT (arXiv 2205.01068), 125M to 66B. Pre- or post-layer-norm; learned positions that start at row 2 of their
// table; word embeddings of another width than the hidden states, projected in and out (350M).

import type { Activation, Device, Tensor } from '../../device/index.js';
import { BallastError } from '../../errors.js';
import { activations } from '../activations.js';
import { attend } from '../attend.js';
import { ConfigReader } from '../config-reader.js';
import { hold } from '../hold.js';
import { learnedPositions } from '../learned-positions.js';
import { biasByConfig, type LinearBias, linear, linearSlot } from '../linear-bias.js';
import type { Architecture, LanguageModel, LinearSpec } from '../model.js';
import { layerNorm, normSlot, normTensors, vectorShapes } from '../norms.js';
import type { Weights } from '../weights.js';

// The position table's first two rows were reserved for padding by the original training code.
const positionOffset = 2;
const layerNormEps = 1e-5;

interface Opt {
  readonly hiddenSize: number;
  readonly embeddingSize: number;
  readonly mlpSize: number;
  readonly heads: number;
  readonly vocabularySize: number;
  readonly maxPositions: number;
  readonly activation: Activation;
  readonly preNorm: boolean;
  readonly hasFinalNorm: boolean;
  readonly names: OptNames;
  readonly bias: LinearBias;
  /** The tensors of a norm, which may have none. */
  readonly normTensors: (...names: string[]) => string[];
}

type OptNames = ReturnType<typeof namesOf>;

/** Full names outside of blocks. */
function namesOf(reader: ConfigReader, tensors: ReadonlySet<string>) {
  // Checkpoints saved from the bare decoder lack the leading 'model.'.
  const root = tensors.has('decoder.embed_tokens.weight') ? 'decoder' : 'model.decoder';
  const embedding = `${root}.embed_tokens.weight`;
  return {
    root,
    embedding,
    positions: `${root}.embed_positions.weight`,
    projectIn: `${root}.project_in.weight`,
    projectOut: `${root}.project_out.weight`,
    finalNorm: `${root}.final_layer_norm`,
    output: reader.boolean('tie_word_embeddings', true) ? embedding : 'lm_head.weight',
  };
}

function readOpt(reader: ConfigReader, tensors: ReadonlySet<string>): Opt {
  const hiddenSize = reader.count('hidden_size');
  const embeddingSize = reader.count('word_embed_proj_dim', hiddenSize);
  const preNorm = reader.boolean('do_layer_norm_before', true);
  const affine = reader.boolean('layer_norm_elementwise_affine', true);
  reader.divides('num_attention_heads', 'hidden_size');
  const names = namesOf(reader, tensors);
  const { projectIn, projectOut } = names;
  if (embeddingSize !== hiddenSize && !(tensors.has(projectIn) && tensors.has(projectOut))) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `word_embed_proj_dim differs from hidden_size in config.json, but the checkpoint has no ${projectIn} and ${projectOut}.`,
    );
  }
  return {
    hiddenSize,
    embeddingSize,
    mlpSize: reader.count('ffn_dim'),
    heads: reader.count('num_attention_heads'),
    vocabularySize: reader.count('vocab_size'),
    maxPositions: reader.count('max_position_embeddings'),
    activation: reader.choice('activation_function', activations, 'relu'),
    preNorm,
    hasFinalNorm: preNorm && !reader.boolean('_remove_final_layer_norm', false),
    names,
    bias: biasByConfig(reader, 'enable_bias', true),
    normTensors: (...norms) => (affine ? normTensors(...norms) : []),
  };
}

function linearsOf({ hiddenSize, mlpSize, bias }: Opt): LinearSpec[] {
  return [
    linear('self_attn.q_proj', hiddenSize, hiddenSize, bias),
    linear('self_attn.k_proj', hiddenSize, hiddenSize, bias),
    linear('self_attn.v_proj', hiddenSize, hiddenSize, bias),
    linear('self_attn.out_proj', hiddenSize, hiddenSize, bias),
    linear('fc1', hiddenSize, mlpSize, bias),
    linear('fc2', mlpSize, hiddenSize, bias),
  ];
}

function blockOf({ hiddenSize, heads, preNorm, activation }: Opt): LanguageModel['block'] {
  return (x, weights, call, context) => {
    const { device, sequence, operands } = context;
    const norm = (y: Tensor, name: string) =>
      layerNorm(device, y, weights, name, layerNormEps, preNorm ? operands : 'float32');
    const attended = () => {
      const h = preNorm ? norm(x, 'self_attn_layer_norm') : x;
      const query = call('self_attn.q_proj', h);
      const key = call('self_attn.k_proj', h);
      const value = call('self_attn.v_proj', h);
      const scale = (hiddenSize / heads) ** -0.5;
      return attend(context, query, key, value, { sequence, heads, scale });
    };
    const y = hold(context, 'middle', () => {
      const sum = call('self_attn.out_proj', hold(context, 'attended', attended), { residual: x });
      return preNorm ? sum : norm(sum, 'self_attn_layer_norm');
    });
    const inner = hold(context, 'inner', () => {
      const g = preNorm ? norm(y, 'final_layer_norm') : y;
      return call('fc1', g, { activation, dtype: operands });
    });
    const out = call('fc2', inner, { residual: y });
    return preNorm ? out : norm(out, 'final_layer_norm');
  };
}

/** Into and out of the width of the hidden states, where embeddings have another. */
function projected(device: Device, x: Tensor, weights: Weights, projection: string): Tensor {
  const weight = weights.find(projection);
  return weight === undefined ? x : device.matmul(x, weight);
}

function embedOf({ names }: Opt): LanguageModel['embed'] {
  return (ids, weights, context) => {
    const { device } = context;
    const words = device.embedding(ids, weights.get(names.embedding));
    const x = projected(device, words, weights, names.projectIn);
    const table = weights.get(names.positions);
    return device.add(x, learnedPositions(ids.elements, table, context, positionOffset));
  };
}

function finalNormTensorsOf({ hasFinalNorm, names, normTensors: of }: Opt): string[] {
  return hasFinalNorm ? of(names.finalNorm) : [];
}

function outerShapesOf(opt: Opt): LanguageModel['outerShapes'] {
  const { names, vocabularySize, maxPositions, embeddingSize, hiddenSize } = opt;
  return {
    [names.embedding]: [vocabularySize, embeddingSize],
    [names.output]: [vocabularySize, embeddingSize],
    [names.positions]: [maxPositions + positionOffset, hiddenSize],
    [names.projectIn]: [hiddenSize, embeddingSize],
    [names.projectOut]: [embeddingSize, hiddenSize],
    ...vectorShapes(hiddenSize, ...finalNormTensorsOf(opt)),
  };
}

function slotsOf(opt: Opt, linears: readonly LinearSpec[]): LanguageModel['slots'] {
  const { names, preNorm, hasFinalNorm } = opt;
  const norm = (name: string) => normSlot(opt.normTensors(name), name);
  return {
    attention: linearSlot(linears, 'self_attn.out_proj'),
    mlp: linearSlot(linears, 'fc2'),
    block: preNorm ? linearSlot(linears, 'fc2') : norm('final_layer_norm'),
    model: hasFinalNorm
      ? norm(names.finalNorm)
      : { kind: 'none', reason: 'no norm follows the last block, whose own output they are.' },
  };
}

function read(
  config: Readonly<Record<string, unknown>>,
  tensors: ReadonlySet<string>,
): LanguageModel {
  const reader = new ConfigReader(config);
  const model = readOpt(reader, tensors);
  const { names, hasFinalNorm } = model;
  const linears = linearsOf(model);
  const optional = (name: string) => (tensors.has(name) ? [name] : []);
  const finalStates: LanguageModel['finalStates'] = (x, weights, { device }) =>
    hasFinalNorm ? layerNorm(device, x, weights, names.finalNorm, layerNormEps) : x;
  return {
    modelType: 'opt',
    blocks: reader.depth('num_hidden_layers'),
    hiddenSize: model.hiddenSize,
    vocabularySize: model.vocabularySize,
    maxPositions: model.maxPositions,
    linears,
    blockTensors: model.normTensors('self_attn_layer_norm', 'final_layer_norm'),
    embedTensors: [names.embedding, names.positions, ...optional(names.projectIn)],
    headTensors: [names.output, ...finalNormTensorsOf(model), ...optional(names.projectOut)],
    outerShapes: outerShapesOf(model),
    biasFields: { enable_bias: true },
    slots: slotsOf(model, linears),
    blockName: (index) => `${names.root}.layers.${index}`,
    embed: embedOf(model),
    block: blockOf(model),
    finalStates,
    head(x, weights, context) {
      const { device } = context;
      const h = projected(device, finalStates(x, weights, context), weights, names.projectOut);
      return device.matmul(h, weights.get(names.output));
    },
  };
}

export const opt: Architecture = { modelType: 'opt', read };
