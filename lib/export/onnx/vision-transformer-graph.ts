// The graph of the vision transformers after ViT: see lib/models/vision-transformer.ts, which this repeats as nodes. Room
// for the learned tokens is a Pad, and all that is added to every image is one constant.

import type { BlockModel } from '../../models/index.js';
import { isVisionTransformer } from '../../models/vision-transformer.js';
import { classify, patchTokens } from './image-nodes.js';
import { type GraphTools, layerNorm, type ModelGraph } from './model-graph.js';
import { visionBlockGraph } from './vision-block-graph.js';

export function visionTransformerGraph(model: BlockModel, tools: GraphTools): ModelGraph {
  if (!isVisionTransformer(model)) throw new RangeError(`${model.modelType} is something else.`);
  const { graph, load } = tools;
  const { root, image, patch, tokens, hiddenSize, sequence, eps, classes, classifiers } = model;
  const embeddings = `${root}.embeddings`;
  const input = { name: 'pixel_values', shape: [image.channels, image.height, image.width] };

  /** [sequence, hiddenSize]: positions, and the learned tokens in the first rows. */
  const constantRows = async () => {
    const rows = await load(`${embeddings}.position_embeddings`);
    for (const [row, name] of tokens.entries()) {
      const token = await load(`${embeddings}.${name}`);
      token.forEach((value, i) => {
        rows[row * hiddenSize + i] = (rows[row * hiddenSize + i] ?? 0) + value;
      });
    }
    return rows;
  };

  return {
    input,
    output: { name: 'logits', shape: [classes] },
    async embed() {
      const name = `${embeddings}.patch_embeddings.projection`;
      const patches = await patchTokens(tools, input.name, { name, image, patch, hiddenSize });
      const room = graph.constant(`${embeddings}/room`, 'int64', [0, tokens.length, 0, 0, 0, 0]);
      const padded = graph.node(embeddings, 'Pad', [patches, room]);
      const constant = `${embeddings}.constant`;
      const added = await graph.floats(constant, await constantRows(), [sequence, hiddenSize]);
      return graph.node(embeddings, 'Add', [padded, added]);
    },
    block: (x, parts) => visionBlockGraph(tools, model.visionBlock, sequence, x, parts),
    async head(x) {
      const read = classifiers.map(({ token }) => token);
      const index = graph.constant(`${root}/tokens`, 'int64', read);
      const chosen = graph.node(root, 'Gather', [x, index], { axis: 1 });
      const h = await layerNorm(graph, `${root}.layernorm`, chosen, eps, load);
      const logits: string[] = [];
      for (const [place, { name }] of classifiers.entries()) {
        const own = graph.constant(`${name}/token`, 'int64', place);
        const token = graph.node(name, 'Gather', [h, own], { axis: 1 });
        logits.push(await classify(tools, name, token, classes));
      }
      return logits.length === 1 ? (logits[0] ?? x) : graph.node('logits', 'Mean', logits);
    },
  };
}
