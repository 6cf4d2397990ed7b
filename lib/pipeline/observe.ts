// Observation: which linears share an input, and the sums over what they read. An observer wraps whoever
// executes the block's linears and looks at their inputs on the way; a block whose remaining linears nobody
// observes is left early.

import type { Device, Tensor } from '../device/index.js';
import type { Linear } from '../models/index.js';
import { type Statistics, type StatisticsNeeds, StatisticsSums } from '../statistics/index.js';

/** Linears of a block that read the same tensor, in order of execution. */
export type InputGroup = readonly string[];

/** Runs one mini-batch through the block under observation. */
export type BlockRun = (x: Tensor, linear: Linear) => Tensor;

/** The groups of a block, found by running it once. */
export function inputGroups(
  device: Device,
  run: BlockRun,
  x: Tensor,
  linear: Linear,
): InputGroup[] {
  const groups = new Map<Tensor, string[]>();
  device.scope(() => {
    run(x, (name, input, options) => {
      const group = groups.get(input);
      if (group === undefined) groups.set(input, [name]);
      else group.push(name);
      return linear(name, input, options);
    });
    return undefined;
  });
  return [...groups.values()];
}

/** Ends a block's execution when everything to be observed has been. */
class EndOfObservation extends Error {}

export interface Observation {
  readonly device: Device;
  readonly states: readonly Tensor[];
  readonly run: BlockRun;
  readonly linear: Linear;
  readonly groups: readonly InputGroup[];
  readonly sequence: number;
  readonly needs: StatisticsNeeds;
  /** Whether the block's outputs are wanted too; otherwise it is left after the last group. */
  readonly outputs: boolean;
  /** Called before each mini-batch; throws to stop. */
  readonly throwIfAborted: () => void;
}

export interface ObservedBlock {
  /** By the group's first linear. */
  readonly statistics: Map<string, Statistics>;
  /** One tensor a mini-batch; empty unless wanted. */
  readonly outputs: Tensor[];
}

/** Runs every mini-batch through the block and sums what the groups read. */
export async function observe(observation: Observation): Promise<ObservedBlock> {
  const { device, states, run, groups, sequence, needs } = observation;
  const sums = new Map(
    groups.map((group) => [group[0] ?? '', new StatisticsSums(device, sequence, needs)]),
  );
  const outputs: Tensor[] = [];
  try {
    for (const x of states) {
      observation.throwIfAborted();
      const linear = observing(observation, sums);
      const output = device.scope(() => untilObserved(() => run(x, linear)));
      if (output !== undefined) outputs.push(output);
      await device.synchronize();
    }
    const statistics = new Map<string, Statistics>();
    for (const [leader, sum] of sums) statistics.set(leader, await sum.finish());
    return { statistics, outputs };
  } catch (error) {
    for (const sum of sums.values()) sum.dispose();
    for (const output of outputs) output.dispose();
    throw error;
  }
}

/** The executor of one mini-batch, with sums added on the way. */
function observing(
  { linear, outputs }: Observation,
  sums: ReadonlyMap<string, StatisticsSums>,
): Linear {
  let remaining = sums.size;
  return (name, x, options) => {
    const sum = sums.get(name);
    if (sum !== undefined) {
      sum.add(x);
      remaining -= 1;
      if (remaining === 0 && !outputs) throw new EndOfObservation();
    }
    return linear(name, x, options);
  };
}

function untilObserved(run: () => Tensor): Tensor | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof EndOfObservation) return undefined;
    throw error;
  }
}
