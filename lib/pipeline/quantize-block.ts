// One block, in stages: statistics of what the stage's linears read, then each of them quantized and compensated.
// A true-sequential block has a stage for each input group, so that a linear's statistics are those of inputs that
// the quantized linears before it produce; otherwise all groups are one stage. At the end the block's output is
// compensated if asked for, and both paths move on. Grids that are found before linears are quantized come first.

import { BlockActivations } from '../activations/index.js';
import type { Tensor } from '../device/index.js';
import {
  blockRunner,
  disposeAll,
  executor,
  type LinearWeights,
  type LoadedBlock,
  loadBlock,
} from '../execution/index.js';
import { type Linear, shapeOf } from '../models/index.js';
import { type BlockBias, compensateBlock } from './block-site.js';
import { calibrateGrids } from './grid-calibration.js';
import { HeldStates } from './held-states.js';
import { disposeParameters } from './linear-search.js';
import { neededPaths, needsOf } from './needs.js';
import { type BlockRun, type InputGroup, inputGroups, leaderOf, observe } from './observe.js';
import { quantizeGroup } from './quantize-group.js';
import { disposeLinear, type QuantizedLinear } from './quantize-linear.js';
import type { Paths, Run } from './run.js';

export interface QuantizedBlock extends Disposable {
  readonly index: number;
  readonly linears: ReadonlyMap<string, QuantizedLinear>;
  readonly bias: BlockBias | undefined;
  /** Absent where activations stay float. */
  readonly activations: BlockActivations | undefined;
}

/** A block under way. */
interface Work {
  readonly run: Run;
  readonly index: number;
  readonly paths: Paths;
  readonly block: LoadedBlock;
  readonly runBlock: BlockRun;
  /** With attention of quantized operands where they are. */
  readonly runQuantized: BlockRun;
  readonly activations: BlockActivations | undefined;
  /** What has been quantized so far. */
  readonly linears: Map<string, QuantizedLinear>;
  readonly float: Linear;
  /** Executes quantized linears where there are, float ones elsewhere. */
  readonly quantized: Linear;
  readonly heldFloat: HeldStates;
  readonly heldQuantized: HeldStates;
}

/** Quantizes block `index` and moves `paths` past it. */
export async function quantizeBlock(
  run: Run,
  index: number,
  paths: Paths,
  onLayer: (linear: QuantizedLinear) => void,
): Promise<QuantizedBlock> {
  const { device, model, context, clock } = run;
  using block = await clock.measure('load', () => loadBlock(device, run.checkpoint, model, index));
  const linears = new Map<string, QuantizedLinear>();
  const runBlock = blockRunner(model, block.weights, context, index);
  const float = executor(device, (name) => linearOf(block, name));
  const grids = await clock.measure('calibrate', () =>
    calibrateGrids({
      run,
      paths,
      float,
      weights: block.weights,
      weightOf: (name) => linearOf(block, name).weight,
      index,
    }),
  );
  const activations = grids.activations && new BlockActivations(device, grids.activations);
  const attended = { ...context, attend: activations?.attend };
  const see = activations && ((name: string, x: Tensor) => activations.input(name, x));
  using heldFloat = new HeldStates(device, () => true);
  using heldQuantized = new HeldStates(device, (name) => linears.has(name));
  const work: Work = {
    run,
    index,
    paths,
    block,
    linears,
    activations,
    runBlock,
    runQuantized: blockRunner(model, block.weights, attended, index),
    float,
    quantized: executor(device, (name) => linears.get(name) ?? linearOf(block, name), see),
    heldFloat,
    heldQuantized,
  };
  let outputs: Tensor[] = [];
  try {
    for (const { groups, last } of stagesOf(work)) {
      const observed = await clock.measure('calibrate', () => observeStage(work, groups, last));
      outputs = observed.outputs;
      for (const group of groups) {
        const statistics = observed.groups.get(leaderOf(group));
        if (statistics === undefined) throw new RangeError(`No statistics of ${leaderOf(group)}.`);
        const find = (name: string) => linearOf(block, name);
        const parameters = grids.weights;
        const groupWork = { run, index, group, find, parameters, observed: statistics };
        for (const linear of await quantizeGroup(groupWork)) {
          linears.set(linear.name, linear);
          onLayer(linear);
        }
      }
    }
    const bias = await clock.measure('compensate', () =>
      compensateBlock({ ...work, runBlock: work.runQuantized, outputs }),
    );
    await clock.measure('propagate', () => advance(work, outputs, bias));
    const dispose = () => disposeBlock(linears, bias, activations);
    return { index, linears, bias, activations, [Symbol.dispose]: dispose };
  } catch (error) {
    disposeAll(outputs);
    disposeBlock(linears, undefined, activations);
    throw error;
  } finally {
    disposeParameters(grids.weights);
  }
}

function linearOf(block: LoadedBlock, name: string): LinearWeights {
  const weights = block.linears.get(name);
  if (weights === undefined) throw new RangeError(`The block has no linear ${name}.`);
  return weights;
}

function stagesOf({ run, index, paths, runBlock, float }: Work) {
  const first = paths.quantized[0] ?? paths.float[0];
  if (first === undefined) throw new RangeError('No mini-batch to observe.');
  const groups = inputGroups(run, index, runBlock, first, float);
  const stages = run.options.trueSequential ? groups.map((group) => [group]) : [groups];
  return stages.map((stage, i) => ({ groups: stage, last: i === stages.length - 1 }));
}

function observeStage(work: Work, groups: readonly InputGroup[], last: boolean) {
  const { run, index, paths, linears, activations } = work;
  const { device, model, context, heldOutFrom, throwIfAborted } = run;
  const needed = neededPaths(run);
  const seen = activations && ((name: string, x: Tensor) => activations.input(name, x));
  const float = {
    states: paths.float,
    run: work.runBlock,
    linear: work.float,
    seen,
    held: work.heldFloat,
  };
  // The two paths are one as long as nothing before has been quantized.
  const one = !paths.parted && linears.size === 0 && activations === undefined;
  const needs = groups.map((group) => needsOf(run, group, !one));
  const quantized = one
    ? float
    : {
        states: paths.quantized,
        run: work.runQuantized,
        linear: work.quantized,
        seen,
        held: work.heldQuantized,
      };
  const { propagate } = run.options;
  const onQuantized =
    propagate === 'quantized' || needs.some(({ quantizerMoment }) => quantizerMoment);
  const onFloat =
    propagate === 'float' ||
    needs.some(({ drift, reference }) => drift && reference === 'float') ||
    (needed.float && last);
  return observe({
    device,
    float: onFloat ? float : undefined,
    quantized: onQuantized ? quantized : undefined,
    groups,
    sequence: shapeOf(model, index).sequence ?? context.sequence,
    planOf: (group) => needsOf(run, group, !one),
    heldOutFrom,
    outputs: needed.float && last,
    more: !last,
    throwIfAborted,
  });
}

/** Float outputs are there already; the quantized path runs through what was just quantized. */
async function advance(work: Work, outputs: Tensor[], bias: BlockBias | undefined): Promise<void> {
  const { run, index, paths, runQuantized, quantized, heldQuantized } = work;
  const { device, model, throwIfAborted } = run;
  const last = index === model.blocks - 1 && !run.keepsStates && !run.sites.model;
  if (!neededPaths(run).quantized || last) {
    paths.advance(outputs, outputs);
    return;
  }
  const next: Tensor[] = [];
  try {
    for (const [batch, x] of paths.quantized.entries()) {
      throwIfAborted();
      next.push(
        device.scope(() => {
          const y = heldQuantized.run(batch, x, runQuantized, quantized, false);
          return bias?.apply(y) ?? y;
        }),
      );
      heldQuantized.release(batch);
      await device.synchronize();
    }
  } catch (error) {
    disposeAll(next);
    throw error;
  }
  paths.advance(outputs, next);
}

function disposeBlock(
  linears: ReadonlyMap<string, QuantizedLinear>,
  bias: BlockBias | undefined,
  activations: BlockActivations | undefined,
): void {
  for (const linear of linears.values()) disposeLinear(linear);
  bias?.dispose();
  activations?.[Symbol.dispose]();
}
