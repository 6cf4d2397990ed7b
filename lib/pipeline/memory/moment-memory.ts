// Second moments that stand in memory while a block is observed and quantized: matrices [c, c] of what an input group reads.
// Groups that may be observed together are cut into parts that fit the memory there is, each a pass over the mini-batches of
// its own: what a group reads does not depend on which others are observed with it.

import { deviceNames } from '../../device/index.js';
import type { BlockShape } from '../../models/index.js';
import { type Asked, needsOf } from '../blocks/needs.js';

export interface MomentCounts {
  /** Matrices that are summed for each group that is observed. */
  readonly sums: number;
  /** What stands besides for the group at work. */
  readonly atWork: number;
}

const float32 = 4;

/** As many as a group may need: not all do before the paths part. */
export function momentCounts(asked: Asked): MomentCounts {
  const { options, quantizer, model } = asked;
  const linears = model.linears.map(({ name }) => name);
  const needs = needsOf(asked, linears, true);
  if (!needs.moments) return { sums: 0, atWork: 0 };
  const sums =
    (needs.drift ? 3 : 1) * (options.heldOut > 0 ? 2 : 1) + Number(needs.quantizerMoment);
  // Another device's beside the sums while they are taken in, and what both make; later the quantizer's factor.
  const taken = deviceNames(options.device).length > 1 ? 2 : 0;
  const formed = sums + Math.max(quantizer.needsMoment ? 2 : 0, taken);
  return { sums, atWork: formed };
}

/** Of groups that are observed together, given the channels that each reads. */
export function momentBytes({ sums, atWork }: MomentCounts, widths: readonly number[]): number {
  const sizes = widths.map((channels) => channels ** 2);
  const total = sizes.reduce((a, b) => a + b, 0);
  return float32 * (sums * total + atWork * Math.max(0, ...sizes));
}

/** What a block can be observed with: one group at a time. */
export function leastMomentBytes(counts: MomentCounts, { linears }: BlockShape): number {
  return momentBytes(counts, [Math.max(...linears.map(({ inChannels }) => inChannels))]);
}

/** Groups in their order, as many in each part as `bytes` suffice for, but one at least. */
export function partsWithin<Group>(
  groups: readonly Group[],
  widthOf: (group: Group) => number,
  counts: MomentCounts,
  bytes: number,
): Group[][] {
  const parts: Group[][] = [];
  for (const group of groups) {
    const part = parts.at(-1);
    const fits = part !== undefined && momentBytes(counts, [...part, group].map(widthOf)) <= bytes;
    if (fits) part.push(group);
    else parts.push([group]);
  }
  return parts;
}

/**
 * Of each stage of a block, the channels that its groups read, as far as no run has told: what an expert's linears of a stage read is
 * one tensor, others that share theirs are counted apart.
 */
export function plannedStages({ linears }: BlockShape, inStages: boolean): number[][] {
  const stages = new Map<string, Map<string, number>>();
  for (const { name, stage, expert, inChannels } of linears) {
    const key = inStages ? (stage ?? name) : '';
    const widths = stages.get(key) ?? new Map<string, number>();
    stages.set(key, widths.set(expert === undefined ? name : `${stage} ${expert}`, inChannels));
  }
  return Array.from(stages.values(), (widths) => [...widths.values()]);
}

/** Passes over the mini-batches that stages of several groups take. */
export function passesOver(
  stages: readonly (readonly number[])[],
  counts: MomentCounts,
  bytes: number,
): number {
  return stages
    .filter((widths) => widths.length > 1)
    .reduce(
      (passes, widths) => passes + partsWithin(widths, (width) => width, counts, bytes).length,
      0,
    );
}
