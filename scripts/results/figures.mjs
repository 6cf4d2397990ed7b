// Numbers out of cells: means over texts, linears and seeds, with the spread over seeds.

import { cellId, seeds } from './grid.mjs';

export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Sample standard deviation; 0 of a single value. */
export function deviation(values) {
  if (values.length < 2) return 0;
  const centre = mean(values);
  return Math.sqrt(
    values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1),
  );
}

/** On held-out tokens, as the layer is: a bias that was not kept has no part in it. */
export const heldOut = ({ biasKept, heldOutError, heldOutErrorWithBias }) =>
  biasKept ? heldOutErrorWithBias : heldOutError;

export const meanPerplexity = ({ perplexities }) => mean(perplexities);
export const meanError = ({ layers }) => mean(layers.map(heldOut));

export class Figures {
  /** `cells`: what is known, by id; `float`: perplexities of the unquantized models by name. */
  constructor(cells, float) {
    this.cells = cells;
    this.float = float;
  }

  /** The cells of all seeds at a place of the grid; fewer where not all have been run. */
  at(place) {
    return seeds.flatMap((seed) => this.cells.get(cellId({ ...place, seed })) ?? []);
  }

  /** Pairs of cells that share a seed. */
  pairs(a, b) {
    return seeds.flatMap((seed) => {
      const pair = [a, b].map((place) => this.cells.get(cellId({ ...place, seed })));
      return pair.includes(undefined) ? [] : [pair];
    });
  }
}
