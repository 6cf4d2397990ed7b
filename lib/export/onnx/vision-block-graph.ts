// The pre-norm block of vision transformers as nodes: see lib/models/vision-block.ts, which this repeats. Where it has
// windows, tokens are gathered window by window before queries, keys and values are formed, and back after.

import type { VisionBlock } from '../../models/vision-block.js';
import { attend, type ScoreBias } from './attention-nodes.js';
import type { Graph } from './graph.js';
import { type BlockParts, type GraphTools, layerNorm } from './model-graph.js';

/** `sequence` is the number of an image's tokens. */
export async function visionBlockGraph(
  tools: GraphTools,
  block: VisionBlock,
  sequence: number,
  x: string,
  parts: BlockParts,
): Promise<string> {
  const { graph } = tools;
  const { name, linear, operand, load } = parts;
  const { names, norms, heads, headSize, activation, eps, windows } = block;
  const norm = (tensor: string, value: string) =>
    layerNorm(graph, `${name}.${tensor}`, value, eps, load);
  const before = await norm(norms[0], x);
  const h = await arrange(graph, `${name}.window_order`, before, windows?.order);
  const operands = [linear(names.query, h), linear(names.key, h), linear(names.value, h)] as const;
  const tokens = windows?.tokens ?? sequence;
  const shape = { sequence, tokens, heads, headSize, scale: headSize ** -0.5 };
  const bias = await scoreBias(tools, block, parts);
  const mixed = attend(graph, `${name}.attention`, operands, shape, operand, bias);
  const attended = await arrange(graph, `${name}.window_places`, mixed, windows?.places);
  const y = linear(names.output, attended, { residual: x });
  const g = await norm(norms[1], y);
  return linear(names.last, linear(names.first, g, { activation }), { residual: y });
}

/** Tokens of each image in another order; `x` itself where there is none. */
export async function arrange(
  graph: Graph,
  name: string,
  x: string,
  order: Int32Array | undefined,
): Promise<string> {
  if (order === undefined) return x;
  return graph.node(name, 'Gather', [x, await graph.integers(name, order)], { axis: 1 });
}

/** Of constants alone, which ONNX Runtime computes when the model is loaded. */
async function scoreBias(
  { graph }: GraphTools,
  { heads, windows }: VisionBlock,
  { name, load }: BlockParts,
): Promise<ScoreBias | undefined> {
  if (windows === undefined) return undefined;
  const { table, tokens, distances, mask } = windows;
  const scope = `${name}.${table}`;
  const values = await load(scope);
  const rows = await graph.floats(scope, values, [values.length / heads, heads]);
  const index = await graph.integers(`${scope}.distances`, distances);
  const pairs = graph.node(scope, 'Gather', [rows, index], { axis: 0 });
  const turned = graph.node(scope, 'Transpose', [pairs], { perm: [1, 0] });
  const shape = graph.constant(`${scope}/shape`, 'int64', [heads, tokens, tokens]);
  const own = graph.node(scope, 'Reshape', [turned, shape]);
  if (mask === undefined) return { value: own, windows: 1 };
  const count = mask.length / (tokens * tokens);
  const masks = await graph.floats(`${name}.window_mask`, mask, [count, 1, tokens, tokens]);
  return { value: graph.node(scope, 'Add', [own, masks]), windows: count };
}
