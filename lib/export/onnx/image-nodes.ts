// Where image classifiers begin and end: patches of an image as tokens, and a linear that gives logits.

import type { ImageShape } from '../../models/index.js';
import type { GraphTools } from './model-graph.js';

interface Patches {
  /** What the names of the convolution's tensors begin with. */
  readonly name: string;
  readonly image: ImageShape;
  /** Pixels along a side. */
  readonly patch: number;
  readonly hiddenSize: number;
}

/** pixels [batch, channels, height, width] → tokens [batch, patches, hiddenSize]. */
export async function patchTokens(
  { graph, load }: GraphTools,
  pixels: string,
  { name, image: { channels }, patch, hiddenSize }: Patches,
): Promise<string> {
  const kernel = await load(`${name}.weight`);
  const constants = [
    await graph.floats(`${name}.weight`, kernel, [hiddenSize, channels, patch, patch]),
    await graph.floats(`${name}.bias`, await load(`${name}.bias`)),
  ];
  const strides = [patch, patch];
  const grid = graph.node(name, 'Conv', [pixels, ...constants], { strides });
  const shape = graph.constant(`${name}/shape`, 'int64', [0, hiddenSize, -1]);
  const rows = graph.node(name, 'Reshape', [grid, shape]);
  return graph.node(name, 'Transpose', [rows], { perm: [0, 2, 1] });
}

/** x [batch, channels] → logits [batch, classes]. */
export async function classify(
  { graph, load }: GraphTools,
  name: string,
  x: string,
  classes: number,
): Promise<string> {
  const weight = await load(`${name}.weight`);
  const constants = [
    await graph.floats(`${name}.weight`, weight, [classes, weight.length / classes]),
    await graph.floats(`${name}.bias`, await load(`${name}.bias`)),
  ];
  return graph.node(name, 'Gemm', [x, ...constants], { transB: 1 });
}
