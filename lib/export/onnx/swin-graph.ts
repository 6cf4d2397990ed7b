// Swin's graph: see lib/models/architectures/swin.ts, which this repeats as nodes. Windows, and the two by two tokens that are merged
// between stages, are a Gather of an image's tokens.

import { isSwin, swinNames } from '../../models/architectures/swin.js';
import type { BlockModel } from '../../models/index.js';
import { merging, mergingOrder } from '../../models/patch-merging.js';
import { classify, patchTokens } from './image-nodes.js';
import { type BlockParts, type GraphTools, layerNorm, type ModelGraph } from './model-graph.js';
import { arrange, visionBlockGraph } from './vision-block-graph.js';

export function swinGraph(model: BlockModel, tools: GraphTools): ModelGraph {
  if (!isSwin(model)) throw new RangeError(`${model.modelType} is something else.`);
  const { graph, load } = tools;
  const { image, patch, width, eps, patchEps, positions, classes } = model;
  const { embeddings, projection, norm, classifier } = swinNames;
  const input = { name: 'pixel_values', shape: [image.channels, image.height, image.width] };

  const mergePatches = async (side: number, x: string, { name, linear, load: own }: BlockParts) => {
    const tokens = await arrange(graph, `${name}.order`, x, mergingOrder(side));
    const shape = graph.constant(`${name}/shape`, 'int64', [0, (side * side) / 4, -1]);
    const four = graph.node(name, 'Reshape', [tokens, shape]);
    const h = await layerNorm(graph, `${name}.${merging.norm}`, four, merging.eps, own);
    return linear(merging.reduction, h);
  };

  return {
    input,
    output: { name: 'logits', shape: [classes] },
    async embed() {
      const patches = { name: projection, image, patch, hiddenSize: width };
      const tokens = await patchTokens(tools, input.name, patches);
      const x = await layerNorm(graph, `${embeddings}.norm`, tokens, patchEps, load);
      if (!positions) return x;
      const name = `${embeddings}.position_embeddings`;
      const added = await load(name);
      const shape = [1, added.length / width, width];
      return graph.node(embeddings, 'Add', [x, await graph.floats(name, added, shape)]);
    },
    block(x, parts, index) {
      const { block, side } = model.partAt(index);
      return block === undefined
        ? mergePatches(side, x, parts)
        : visionBlockGraph(tools, block, side * side, x, parts);
    },
    async head(x) {
      const h = await layerNorm(graph, norm, x, eps, load);
      const axes = graph.constant('swin/pooled', 'int64', [1]);
      const mean = graph.node('swin', 'ReduceMean', [h, axes], { keepdims: 0 });
      return classify(tools, classifier, mean, classes);
    },
  };
}
