// The stages of a block. A true-sequential block has one for each input group, so that a linear's statistics are those of
// inputs that the quantized linears before it produce (experts, which read nothing of each other, share two); otherwise, and
// where no path runs through quantized linears, all groups are one stage. Where the statistics of a stage's groups do not fit
// in memory together, it has several parts: nothing that a stage quantizes is executed before all of it is done, so that each
// group reads the same whatever part it is in.

import { type BlockShape, shapeOf } from '../../models/index.js';
import {
  leastMomentBytes,
  momentBytes,
  momentCounts,
  partsWithin,
} from '../memory/moment-memory.js';
import type { Run } from '../run.js';
import { neededPaths } from './needs.js';
import { type CutPass, type InputGroup, leaderOf } from './observe.js';

export interface Stage {
  /** Groups that are observed, and then quantized, together; in the order of execution. */
  readonly parts: readonly (readonly InputGroup[])[];
  /** Of memory to spare, what the statistics of the largest part take. */
  readonly spareBytes: number;
  /** Of linears that read nothing of each other; see `LinearSpec`. */
  readonly name: string | undefined;
  /** Of its block. */
  readonly last: boolean;
}

/** Given the block's groups in their order. */
export function stagesOf(run: Run, index: number, groups: readonly InputGroup[]): Stage[] {
  const shape = shapeOf(run.model, index);
  const each = run.options.trueSequential && neededPaths(run).quantized;
  const stages = each ? sideBySide(shape, groups) : [{ groups, name: undefined }];
  const counts = momentCounts(run);
  const least = leastMomentBytes(counts, shape);
  const channels = new Map(shape.linears.map(({ name, inChannels }) => [name, inChannels]));
  const widthOf = (group: InputGroup) => channels.get(leaderOf(group)) ?? 0;
  return stages.map(({ name, groups }, i) => {
    const parts = partsWithin(groups, widthOf, counts, least + run.spare.left);
    const sizes = parts.map((part) => momentBytes(counts, part.map(widthOf)));
    const spareBytes = Math.max(0, Math.max(...sizes) - least);
    return { parts, spareBytes, name, last: i === stages.length - 1 };
  });
}

/** Groups in their order, those of one named stage together. */
function sideBySide({ linears }: BlockShape, groups: readonly InputGroup[]) {
  const stages = new Map<string, { name: string | undefined; groups: InputGroup[] }>();
  for (const group of groups) {
    const leader = leaderOf(group);
    const name = linears.find((linear) => linear.name === leader)?.stage;
    const stage = stages.get(name ?? leader);
    if (stage === undefined) stages.set(name ?? leader, { name, groups: [group] });
    else stage.groups.push(group);
  }
  return [...stages.values()];
}

/** What a pass runs that ends where the last of `groups`, of the stage of this name, has been observed. */
export function cutPass(
  { linears }: BlockShape,
  stage: string | undefined,
  groups: readonly InputGroup[],
): CutPass {
  const leaders = new Set(groups.map(leaderOf));
  const observed = linears.filter(({ name }) => leaders.has(name));
  const own = linears.filter((linear) => stage !== undefined && linear.stage === stage);
  return {
    unread: new Map(own.map(({ name, outChannels }) => [name, outChannels])),
    experts: new Set(observed.flatMap(({ expert }) => expert ?? [])),
  };
}
