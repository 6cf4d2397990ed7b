// The graph of the vision transformers after ViT: see lib/models/vision-transformer.ts, which this repeats as nodes. The
// patches are a convolution; room for the learned tokens is a Pad, and all that is added to every image one constant.

import type { BlockModel } from '../../models/index.js';
import { isVisionTransformer, linearNames, normNames } from '../../models/vision-transformer.js';
import { attend } from './attention-nodes.js';
import { type GraphTools, layerNorm, type ModelGraph, vectors } from './model-graph.js';

export function visionTransformerGraph(model: BlockModel, tools: GraphTools): ModelGraph {
  if (!isVisionTransformer(model)) throw new RangeError(`${model.modelType} is something else.`);
  const { graph, load } = tools;
  const { root, image, patch, tokens, hiddenSize, sequence, heads, activation, eps } = model;
  const { classes, classifiers } = model;
  const { channels, height, width } = image;
  const embeddings = `${root}.embeddings`;
  const input = { name: 'pixel_values', shape: [channels, height, width] };
  const headSize = hiddenSize / heads;

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

  const classify = async (x: string, token: number, name: string, norm: readonly string[]) => {
    const index = graph.constant(`${name}/token`, 'int64', token);
    const chosen = graph.node(name, 'Gather', [x, index], { axis: 1 });
    const h = layerNorm(graph, name, chosen, norm, eps);
    const weight = await load(`${name}.weight`);
    const constants = [
      await graph.floats(`${name}.weight`, weight, [classes, hiddenSize]),
      await graph.floats(`${name}.bias`, await load(`${name}.bias`)),
    ];
    return graph.node(name, 'Gemm', [h, ...constants], { transB: 1 });
  };

  return {
    input,
    output: { name: 'logits', shape: [classes] },
    async embed() {
      const name = `${embeddings}.patch_embeddings.projection`;
      const kernel = await load(`${name}.weight`);
      const constants = [
        await graph.floats(`${name}.weight`, kernel, [hiddenSize, channels, patch, patch]),
        await graph.floats(`${name}.bias`, await load(`${name}.bias`)),
      ];
      const strides = [patch, patch];
      const grid = graph.node(name, 'Conv', [input.name, ...constants], { strides });
      const shape = graph.constant(`${name}/shape`, 'int64', [0, hiddenSize, -1]);
      const rows = graph.node(name, 'Reshape', [grid, shape]);
      const patches = graph.node(name, 'Transpose', [rows], { perm: [0, 2, 1] });
      const room = graph.constant(`${embeddings}/room`, 'int64', [0, tokens.length, 0, 0, 0, 0]);
      const padded = graph.node(embeddings, 'Pad', [patches, room]);
      const constant = `${embeddings}.constant`;
      const added = await graph.floats(constant, await constantRows(), [sequence, hiddenSize]);
      return graph.node(embeddings, 'Add', [padded, added]);
    },
    async block(x, { name, linear, operand, load: loadOwn }) {
      const norm = async (tensor: string, value: string) => {
        const scope = `${name}.${tensor}`;
        return layerNorm(graph, scope, value, await vectors(graph, scope, loadOwn), eps);
      };
      const h = await norm(normNames[0], x);
      const operands = [
        linear(linearNames.query, h),
        linear(linearNames.key, h),
        linear(linearNames.value, h),
      ] as const;
      const shape = { sequence, heads, headSize, scale: headSize ** -0.5 };
      const attended = attend(graph, `${name}.attention`, operands, shape, operand);
      const y = linear(linearNames.output, attended, { residual: x });
      const g = await norm(normNames[1], y);
      const activated = linear(linearNames.first, g, { activation });
      return linear(linearNames.last, activated, { residual: y });
    },
    async head(x) {
      const norm = await vectors(graph, `${root}.layernorm`, load);
      const logits: string[] = [];
      for (const { token, name } of classifiers) logits.push(await classify(x, token, name, norm));
      return logits.length === 1 ? (logits[0] ?? x) : graph.node('logits', 'Mean', logits);
    },
  };
}
