// Which experts rows of logits go to, in float64 loops.

import type { ExpertGroups, Scoring } from '../../lib/device/index.js';
import { at } from './harness.js';

/** The scores of a row of logits. */
export function scoresOf(logits: readonly number[], scoring: Scoring): number[] {
  if (scoring === 'sigmoid') return logits.map((x) => 1 / (1 + Math.exp(-x)));
  const top = Math.max(...logits);
  const powers = logits.map((x) => Math.exp(x - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** The `count` columns of the largest values: NaN last, of equal ones the lower first. */
export function largest(values: readonly number[], count: number): number[] {
  const order = (x: number) => (Number.isNaN(x) ? [1, 0] : [0, -x]);
  const columns = values.map((_, i) => i);
  columns.sort((a, b) => {
    const [nanA = 0, lowA = 0] = order(at(values, a));
    const [nanB = 0, lowB = 0] = order(at(values, b));
    // Infinities less themselves are NaN.
    return nanA - nanB || (lowA < lowB ? -1 : lowA > lowB ? 1 : a - b);
  });
  return columns.slice(0, count);
}

/** The `count` columns of the largest values, of the groups that are kept. */
export function largestOfGroups(
  values: readonly number[],
  count: number,
  groups: ExpertGroups,
): number[] {
  const size = values.length / groups.count;
  const worth = Array.from({ length: groups.count }, (_, group) => {
    const own = values.slice(group * size, (group + 1) * size);
    return largest(own, groups.best).reduce((sum, i) => sum + at(own, i), 0);
  });
  const kept = largest(worth, groups.kept);
  const open = values.flatMap((_, i) => (kept.includes(Math.floor(i / size)) ? [i] : []));
  const ofOpen = open.map((i) => at(values, i));
  return largest(ofOpen, count).map((i) => at(open, i));
}

export function rowsOf(values: Float32Array, columns: number): number[][] {
  return Array.from({ length: values.length / columns }, (_, row) => [
    ...values.subarray(row * columns, (row + 1) * columns),
  ]);
}
