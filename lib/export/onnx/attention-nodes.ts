// Attention over all tokens of a sequence, product by product: heads are cut out of the channels, and put back.

import type { Operand } from '../../activations/index.js';
import type { Graph } from './graph.js';

export interface AttentionShape {
  readonly sequence: number;
  readonly heads: number;
  readonly headSize: number;
  /** What query · key is multiplied by. */
  readonly scale: number;
}

/** query, key and value [batch, sequence, heads·headSize] → the same; `see` is what products see of an operand. */
export function attend(
  graph: Graph,
  scope: string,
  [query, key, value]: readonly [string, string, string],
  { sequence, heads, headSize, scale }: AttentionShape,
  see: (operand: Operand, x: string) => string,
): string {
  const op = (name: string, ...inputs: string[]) => graph.node(scope, name, inputs);
  // 0 takes over the batch.
  const split = graph.constant(`${scope}/split`, 'int64', [0, sequence, heads, headSize]);
  const joined = graph.constant(`${scope}/join`, 'int64', [0, sequence, heads * headSize]);
  const turned = (x: string, ...perm: number[]) => graph.node(scope, 'Transpose', [x], { perm });
  const headsOf = (x: string, ...perm: number[]) => turned(op('Reshape', x, split), ...perm);
  const scores = op(
    'MatMul',
    see('query', headsOf(query, 0, 2, 1, 3)),
    see('key', headsOf(key, 0, 2, 3, 1)),
  );
  const scaled = op('Mul', scores, graph.constant(`${scope}/scale`, 'float32', scale));
  const probabilities = graph.node(scope, 'Softmax', [scaled], { axis: -1 });
  const mixed = op(
    'MatMul',
    see('probabilities', probabilities),
    see('value', headsOf(value, 0, 2, 1, 3)),
  );
  return op('Reshape', turned(mixed, 0, 2, 1, 3), joined);
}
