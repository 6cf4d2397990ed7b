// Attention with linear biases (arXiv 2108.12409): what each head's scores lose per token of distance.

/**
 * 2^(−8i/n) for i = 1 … n, n the number of heads, where that is a power of two. Otherwise those of the next lower power
 * of two, then every other one of the next higher.
 */
export function alibiSlopes(heads: number): Float32Array {
  const lower = 2 ** Math.floor(Math.log2(heads));
  const slope = (i: number, count: number) => 2 ** ((-8 * i) / count);
  return Float32Array.from({ length: heads }, (_, head) =>
    head < lower ? slope(head + 1, lower) : slope(2 * (head - lower) + 1, 2 * lower),
  );
}
