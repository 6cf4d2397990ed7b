// The pre-norm block of vision transformers as nodes: see lib/models/vision-block.ts, which this repeats. Where it has
// windows, tokens are gathered window by window before queries, keys and values are formed, and back after.

import { Weights } from '../../models/index.js';
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
  const index = new Uint8Array(BigInt64Array.from(order, BigInt).buffer);
  const constant = await graph.tensor(name, 'int64', [order.length], index);
  return graph.node(name, 'Gather', [x, constant], { axis: 1 });
}

async function scoreBias(
  { graph, device }: GraphTools,
  { heads, windows }: VisionBlock,
  { name, load }: BlockParts,
): Promise<ScoreBias | undefined> {
  if (windows === undefined) return undefined;
  const { table, tokens } = windows;
  const values = await load(`${name}.${table}`);
  using own = device.upload('float32', [values.length / heads, heads], values);
  using bias = device.scope(() => windows.bias(device, new Weights([[table, own]])));
  const count = bias.rows / (heads * tokens);
  const shape = [count, heads, tokens, tokens];
  const constant = await graph.floats(`${name}.score_bias`, await bias.readFloat32(), shape);
  return { constant, windows: count };
}
