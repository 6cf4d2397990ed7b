// What an architecture's graph is to the writer: an embedding, blocks and a head as nodes. As in lib/models, a block never
// multiplies by a linear's weight itself: it asks for `linear`, and whoever writes decides what nodes that is.

import type { Operand } from '../../activations/index.js';
import type { Activation } from '../../device/index.js';
import type { Graph, Port } from './graph.js';

export interface GraphTools {
  readonly graph: Graph;
  /** A tensor of the checkpoint in float32, row by row. */
  load(tensor: string): Promise<Float32Array>;
}

/** The parts of one block; values are names in the graph. */
export interface BlockParts {
  /** Such as 'vit.encoder.layer.0'. */
  readonly name: string;
  /** y = activation(x Wᵀ + biases) + residual. */
  linear(
    name: string,
    x: string,
    options?: { readonly activation?: Activation; readonly residual?: string },
  ): string;
  /** What attention's products see of an operand. */
  operand(operand: Operand, x: string): string;
  /** A tensor of the block as it is now, float32, by its full name. */
  load(tensor: string): Promise<Float32Array>;
}

/** Hidden states are values [batch, tokens, channels]. */
export interface ModelGraph {
  readonly input: Port;
  readonly output: Port;
  /** The input → hidden states. */
  embed(): Promise<string>;
  block(x: string, parts: BlockParts, index: number): Promise<string>;
  /** Hidden states → the output. */
  head(x: string): Promise<string>;
}

/** With the tensors `<name>.weight` and `<name>.bias`. */
export async function layerNorm(
  graph: Graph,
  name: string,
  x: string,
  eps: number,
  load: GraphTools['load'],
): Promise<string> {
  const constants: string[] = [];
  for (const parameter of [`${name}.weight`, `${name}.bias`]) {
    constants.push(await graph.floats(parameter, await load(parameter)));
  }
  const attributes = { axis: -1, epsilon: { float: eps } };
  return graph.node(name, 'LayerNormalization', [x, ...constants], attributes);
}
