// Attention among all tokens of an image, or among those of each window, product by product: heads are cut out of the
// channels, and put back.

import type { Operand } from '../../activations/index.js';
import type { Graph } from './graph.js';

export interface AttentionShape {
  /** Tokens of an image, and those of them that see each other. */
  readonly sequence: number;
  readonly tokens: number;
  readonly heads: number;
  readonly headSize: number;
  /** What query · key is multiplied by. */
  readonly scale: number;
}

/** What is added to scores. */
export interface ScoreBias {
  /** [windows, heads, tokens, tokens], without the first where all windows have the same. */
  readonly value: string;
  /** That differ; 1 where all have the same. */
  readonly windows: number;
}

/** query, key and value [batch, sequence, heads·headSize] → the same; `see` is what products see of an operand. */
export function attend(
  graph: Graph,
  scope: string,
  [query, key, value]: readonly [string, string, string],
  { sequence, tokens, heads, headSize, scale }: AttentionShape,
  see: (operand: Operand, x: string) => string,
  bias?: ScoreBias,
): string {
  const op = (name: string, ...inputs: string[]) => graph.node(scope, name, inputs);
  const shaped = (x: string, name: string, ...extents: number[]) =>
    op('Reshape', x, graph.constant(`${scope}/${name}`, 'int64', extents));
  const turned = (x: string, ...perm: number[]) => graph.node(scope, 'Transpose', [x], { perm });
  // Windows lie one after the other: they are one dimension with the batch.
  const headsOf = (x: string, name: string, ...perm: number[]) =>
    turned(shaped(x, name, -1, tokens, heads, headSize), ...perm);
  const scores = op(
    'MatMul',
    see('query', headsOf(query, 'query', 0, 2, 1, 3)),
    see('key', headsOf(key, 'key', 0, 2, 3, 1)),
  );
  const scaled = op('Mul', scores, graph.constant(`${scope}/scale`, 'float32', scale));
  const biased = () => {
    if (bias === undefined) return scaled;
    if (bias.windows === 1) return op('Add', scaled, bias.value);
    const apart = shaped(scaled, 'windows', -1, bias.windows, heads, tokens, tokens);
    return shaped(op('Add', apart, bias.value), 'scores', -1, heads, tokens, tokens);
  };
  const probabilities = graph.node(scope, 'Softmax', [biased()], { axis: -1 });
  const mixed = op(
    'MatMul',
    see('probabilities', probabilities),
    see('value', headsOf(value, 'value', 0, 2, 1, 3)),
  );
  return shaped(turned(mixed, 0, 2, 1, 3), 'mixed', -1, sequence, heads * headSize);
}
