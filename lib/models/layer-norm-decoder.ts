// What GPT-2 and the decoders after it share around their attention: layer norms, an MLP of two linears, and residual
// additions that are either sequential (the MLP reads what attention has added to) or parallel (both read the block's
// input). A variant says how its attention works, and the names and sizes of everything.

import type { Activation, Tensor } from '../device/index.js';
import type { AttentionShape } from './attention-shape.js';
import { hold } from './hold.js';
import { linearSlot } from './linear-bias.js';
import type { BlockContext, LanguageModel, Linear, LinearSpec } from './model.js';
import { layerNorm, normSlot, normTensors, vectorShapes } from './norms.js';
import { once } from './once.js';
import type { Rotary } from './rotary.js';

export interface LayerNormSizes {
  readonly shape: AttentionShape;
  readonly mlpSize: number;
  /** What query·key is multiplied by; where blocks differ, in the last. */
  readonly scale: number;
  readonly rotary?: Rotary;
  /** Tokens that attention sees; absent or 0 for all. */
  readonly window?: number;
  /** Whether one linear gives each head's query, key and value in turn. */
  readonly headByHead?: boolean;
}

export interface LayerNormDecoder
  extends Pick<
    LanguageModel,
    'modelType' | 'blocks' | 'hiddenSize' | 'vocabularySize' | 'maxPositions' | 'biasFields'
  > {
  readonly linears: readonly LinearSpec[];
  /** Full name of the list of blocks, such as 'transformer.h'. */
  readonly blockList: string;
  /** Norms before attention and MLP; where they are the same, both read one tensor. */
  readonly norms: { readonly attention: string; readonly mlp: string };
  readonly eps: number;
  readonly parallel: boolean;
  /** Whether a residual is what the norm gives, not what it reads. */
  readonly residualAfterNorm?: boolean;
  readonly activation: Activation;
  /** Linears that give the outputs of attention and MLP, and the one that opens the MLP. */
  readonly output: string;
  readonly mlp: { readonly first: string; readonly last: string };
  /** Sizes of attention and MLP, for formats that write them down. */
  readonly sizes: LayerNormSizes;
  /** From normed hidden states to what the output linear reads. */
  attend(h: Tensor, call: Linear, context: BlockContext, index: number): Tensor;

  readonly embedding: string;
  /** Further tensors of `finishEmbedding`, and their shapes. */
  readonly embeddingShapes?: Readonly<Record<string, readonly number[]>>;
  finishEmbedding?: (...parameters: [Tensor, ...Parameters<LanguageModel['embed']>]) => Tensor;
  readonly finalNorm: string;
  /** Full names of the output projection's weight and, if it has one, bias. */
  readonly projection: { readonly weight: string; readonly bias?: string };
}

function blockOf(decoder: LayerNormDecoder): LanguageModel['block'] {
  const { norms, output, mlp, activation, eps, parallel, residualAfterNorm = false } = decoder;
  return (x, weights, call, context, index) => {
    const { device, operands } = context;
    const norm = (input: Tensor, name: string) =>
      layerNorm(device, input, weights, name, eps, residualAfterNorm ? 'float32' : operands);
    const attention = (h: Tensor) => {
      const attended = hold(context, 'attended', () => decoder.attend(h, call, context, index));
      return call(output, attended, { residual: residualAfterNorm ? h : x });
    };
    const h = once(() => norm(x, norms.attention));
    const y = hold(context, 'middle', () => attention(h()));
    const shared = parallel && norms.mlp === norms.attention;
    const g = shared ? h : once(() => norm(parallel ? x : y, norms.mlp));
    const inner = hold(context, 'inner', () =>
      call(mlp.first, g(), { activation, dtype: operands }),
    );
    return call(mlp.last, inner, { residual: residualAfterNorm ? g() : y });
  };
}

export function layerNormDecoder(decoder: LayerNormDecoder): LanguageModel {
  const { linears, norms, output, mlp, embedding, finalNorm, projection, eps } = decoder;
  const { vocabularySize, hiddenSize, embeddingShapes = {} } = decoder;
  const table = [vocabularySize, hiddenSize];
  const headShapes = {
    [projection.weight]: table,
    ...(projection.bias === undefined ? {} : { [projection.bias]: [vocabularySize] }),
    ...vectorShapes(hiddenSize, ...normTensors(finalNorm)),
  };
  const headTensors = Object.keys(headShapes);
  const finalStates: LanguageModel['finalStates'] = (x, weights, { device }) =>
    layerNorm(device, x, weights, finalNorm, eps);
  return {
    ...decoder,
    layerNormDecoder: decoder,
    blockTensors: normTensors(...new Set(Object.values(norms))),
    embedTensors: [embedding, ...Object.keys(embeddingShapes)],
    headTensors,
    outerShapes: { [embedding]: table, ...embeddingShapes, ...headShapes },
    slots: {
      attention: linearSlot(linears, output),
      mlp: linearSlot(linears, mlp.last),
      block: linearSlot(linears, mlp.last),
      model: normSlot(headTensors, finalNorm),
    },
    blockName: (index) => `${decoder.blockList}.${index}`,
    embed(ids, weights, context) {
      const x = context.device.embedding(ids, weights.get(embedding));
      return decoder.finishEmbedding?.(x, ids, weights, context) ?? x;
    },
    block: blockOf(decoder),
    finalStates,
    head(x, weights, context) {
      const h = finalStates(x, weights, context);
      const bias = projection.bias === undefined ? undefined : weights.get(projection.bias);
      return context.device.matmul(h, weights.get(projection.weight), { bias });
    },
  };
}
