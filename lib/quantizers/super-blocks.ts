// Grids of super-blocks (ggml's types Q2_K … Q6_K). They are found as others are and rounded to the nearest that storage
// holds, before codes are; then scales and offsets move from multiple to multiple as others move freely.

import type { DescendOptions, Device, SuperSteps, Tensor } from '../device/index.js';
import type { GroupParameters, MomentInput, QuantizedWeight, Scheme } from './quantizer.js';

/** Columns of a super-block. */
export const superBlockColumns = 256;

export interface SuperBlock {
  readonly groupSize: number;
  readonly symmetric: boolean;
  /** What a group takes beside its codes: its multiples, and its share of the steps. */
  readonly groupBits: number;
}

const fine = { groupSize: 16, symmetric: true } as const;
const coarse = { groupSize: 32, symmetric: false, groupBits: 16 } as const;

/** By the bits of a code. */
export const superBlocks: ReadonlyMap<number, SuperBlock> = new Map([
  [2, { groupSize: 16, symmetric: false, groupBits: 10 }],
  [3, { ...fine, groupBits: 7 }],
  [4, coarse],
  [5, coarse],
  [6, { ...fine, groupBits: 9 }],
]);

/** The grid that was found, and where it shall be one of super-blocks, the nearest and its steps. */
export function onSteps(
  device: Device,
  weight: Tensor,
  found: GroupParameters,
  { superBlocks, bits }: Scheme,
): GroupParameters & Partial<SuperSteps> {
  return superBlocks ? device.superScales(weight, found, bits) : found;
}

/** Until another round takes off less than a thousandth, codes staying what they are. */
const refit = { rounds: 8, sweeps: 0, refit: true, greedy: false, unrounded: false } as const;

/** The scales and offsets that fit the codes best, of a grid of super-blocks. */
export function refitOnSteps(
  { device, moment, scheme: { bits, scaleDtype } }: MomentInput,
  weight: Tensor,
  start: QuantizedWeight & Partial<SuperSteps>,
  damping: number,
): QuantizedWeight {
  const options: DescendOptions = { ...refit, bits, scaleDtype, damping, tolerance: 1e-3 };
  const { codes, scales, zeros } = device.descend(weight, moment, start, options);
  return { codes, scales, zeros };
}
