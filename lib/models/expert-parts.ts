// Experts that a checkpoint holds together: what each has of tensors that hold those of all.

import type { TensorPart } from '../checkpoint/checkpoint.js';
import type { Experts, PairedGates } from './experts.js';

/** Of tensors [experts, out, in], and of gate and up as one. */
export function fusedExpertParts(
  block: string,
  { count, size, names }: Experts,
  hiddenSize: number,
) {
  const list = `${block}.${names.list}`;
  const part = (source: string, expert: number, name: string, firstRow: number, rows: number) => ({
    name: `${list}.${expert}.${name}.weight`,
    source: `${list}.${source}`,
    firstRow,
    rows,
  });
  return Array.from({ length: count }, (_, i): TensorPart[] => [
    part('gate_up_proj', i, names.gate, 2 * i * size, size),
    part('gate_up_proj', i, names.up, (2 * i + 1) * size, size),
    part('down_proj', i, names.down, i * hiddenSize, hiddenSize),
  ]).flat();
}

/** Of tensors [experts, in, out] and biases [experts, out]; see `PairedGates`. */
export function pairedExpertParts(
  block: string,
  { count, size, names }: Experts,
  { name: into, biases }: PairedGates,
  hiddenSize: number,
): TensorPart[] {
  const list = `${block}.${names.list}`;
  const partsOf = (linear: string, inChannels: number) =>
    Array.from({ length: count }, (_, i): TensorPart[] => {
      const name = `${list}.${i}.${linear}`;
      const source = `${list}.${linear}`;
      const weight = { name: `${name}.weight`, source, firstRow: i * inChannels, rows: inChannels };
      const bias = { name: `${name}.bias`, source: `${source}_bias`, firstRow: i, rows: 1 };
      return biases.bias ? [weight, { ...bias, isVector: true }] : [weight];
    }).flat();
  return [...partsOf(into, hiddenSize), ...partsOf(names.down, size)];
}
