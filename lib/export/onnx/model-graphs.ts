// The architectures that have an ONNX graph: one line each.

import { BallastError } from '../../errors.js';
import type { BlockModel } from '../../models/index.js';
import type { GraphTools, ModelGraph } from './model-graph.js';
import { swinGraph } from './swin-graph.js';
import { visionTransformerGraph } from './vision-transformer-graph.js';

const graphs: Readonly<Record<string, (model: BlockModel, tools: GraphTools) => ModelGraph>> = {
  deit: visionTransformerGraph,
  swin: swinGraph,
  vit: visionTransformerGraph,
};

/** What opens the graph of a model. Error ERR_UNSUPPORTED for a model that has none. */
export function graphOf(model: BlockModel) {
  const open = graphs[model.modelType];
  if (open !== undefined) return open;
  throw new BallastError(
    'ERR_UNSUPPORTED',
    `Expected a model of type ${Object.keys(graphs).join(', ')} for format onnx but received ${model.modelType}; ` +
      'use format huggingface or compressed-tensors.',
  );
}

/** Error as `graphOf`. */
export function openModelGraph(model: BlockModel, tools: GraphTools): ModelGraph {
  return graphOf(model)(model, tools);
}
