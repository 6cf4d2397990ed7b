// The graph of the vision transformers after ViT: see lib/models/vision-transformer.ts, which this repeats as nodes. What
// is added to every image, positions and learned tokens, is of constants alone: ONNX Runtime makes one of them.

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

  const tensor = async (name: string, shape: readonly number[]) =>
    graph.floats(`${embeddings}.${name}`, await load(`${embeddings}.${name}`), shape);
  /** Zero rows before and after those of each image. */
  const padded = (x: string, before: number, after: number) => {
    const pads = graph.constant(`${embeddings}/pads`, 'int64', [0, before, 0, 0, after, 0]);
    return graph.node(embeddings, 'Pad', [x, pads]);
  };
  const add = (a: string, b: string) => graph.node(embeddings, 'Add', [a, b]);

  return {
    input,
    output: { name: 'logits', shape: [classes] },
    async embed() {
      const name = `${embeddings}.patch_embeddings.projection`;
      const patches = await patchTokens(tools, input.name, { name, image, patch, hiddenSize });
      let constant = await tensor('position_embeddings', [1, sequence, hiddenSize]);
      for (const [row, token] of tokens.entries()) {
        const own = await tensor(token, [1, 1, hiddenSize]);
        constant = add(constant, padded(own, row, sequence - 1 - row));
      }
      return add(padded(patches, tokens.length, 0), constant);
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
