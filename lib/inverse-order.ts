// Orders of rows, columns or tokens, given as the place that each comes from.

/** The order that undoes another. */
export function inverseOrder(order: Int32Array): Int32Array {
  const inverse = new Int32Array(order.length);
  for (const [place, source] of order.entries()) inverse[source] = place;
  return inverse;
}
