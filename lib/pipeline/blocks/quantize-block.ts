// One block, in stages: statistics of what the stage's linears read, then each of them quantized and compensated, part by
// part of the stage where memory wants it, and executed as it is from there on. At the end the block's output is compensated
// if asked for, and both paths move on. Grids that are found before linears are quantized come first.

import type { BlockQuantizers } from '../../activations/index.js';
import type { Device, Tensor } from '../../device/index.js';
import { disposeAll, mapBatches, onEach, PerDevice } from '../../execution/index.js';
import { type Routes, shapeOf } from '../../models/index.js';
import type { GroupParameters } from '../../quantizers/index.js';
import { calibrateGrids } from '../grids/grid-calibration.js';
import { disposeParameters } from '../grids/linear-search.js';
import type { Paths, Run } from '../run.js';
import { type BlockBias, compensateBlock } from '../sites/block-site.js';
import { findRoutes, type RouteOf } from './find-routes.js';
import { HeldStates } from './held-states.js';
import { neededPaths, needsOf } from './needs.js';
import { disposeObserved, inputGroups, type ObservedPath, observe } from './observe.js';
import { disposeLinear, type QuantizedLinear } from './quantize-linear.js';
import { quantizeStage } from './quantize-stage.js';
import { Replica, shareLinear } from './replica.js';
import { cutPass, type Stage, stagesOf } from './stages.js';

export interface QuantizedBlock extends Disposable {
  readonly index: number;
  readonly linears: ReadonlyMap<string, QuantizedLinear>;
  readonly bias: BlockBias | undefined;
  /** Absent where activations stay float. */
  readonly activations: BlockQuantizers | undefined;
}

/** A block under way. */
interface Work {
  readonly run: Run;
  readonly index: number;
  readonly paths: Paths;
  readonly replicas: PerDevice<Replica>;
  readonly activations: BlockQuantizers | undefined;
  /** What has been quantized so far, stage by stage, and is executed. */
  readonly linears: Map<string, QuantizedLinear>;
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
  const { devices, clock } = run;
  using replicas = await clock.measure('load', () =>
    PerDevice.load(devices, (device) => Replica.load(run, index, device)),
  );
  const linears = new Map<string, QuantizedLinear>();
  const grids = await clock.measure('calibrate', () =>
    calibrateGrids({ run, paths, replicas, index }),
  );
  const { activations } = grids;
  let routes: readonly Routes[] = [];
  const routeOf: RouteOf = (batch) => {
    const found = routes[batch];
    return found && (() => found);
  };
  using heldFloat = new HeldStates(() => true, run.spare, routeOf);
  using heldQuantized = new HeldStates((name) => linears.has(name), run.spare, routeOf);
  const work = { run, index, paths, replicas, activations, linears, heldFloat, heldQuantized };
  let outputs: Tensor[] = [];
  let bias: BlockBias | undefined;
  try {
    for (const replica of replicas.all) replica.quantizeActivations(activations);
    for (const stage of stagesOf(run, index, groupsOf(work))) {
      if (routes.length === 0) {
        routes = await clock.measure('calibrate', () => routesFor(work, stage));
      }
      const done = await quantizeParts(work, stage, grids.weights);
      outputs = done.outputs;
      for (const linear of done.linears) {
        linears.set(linear.name, linear);
        onLayer(linear);
      }
      await clock.measure('propagate', () => share(work, done.linears));
    }
    bias = await clock.measure('compensate', () => compensateBlock({ ...work, outputs }));
    if (choosesAnew(work)) {
      routes = await clock.measure('propagate', () => routesOn(work, quantizedPath(work), true));
    }
    await clock.measure('propagate', () => leaveBlock(work, outputs, bias));
    const dispose = () => disposeBlock(linears, bias);
    return { index, linears, bias, activations, [Symbol.dispose]: dispose };
  } catch (error) {
    disposeAll(outputs);
    disposeBlock(linears, bias);
    throw error;
  } finally {
    disposeParameters(grids.weights);
  }
}

/** What the stage leaves, in the order of execution, and the float path's outputs where it is the last. */
async function quantizeParts(
  work: Work,
  stage: Stage,
  parameters: ReadonlyMap<string, GroupParameters>,
): Promise<{ linears: QuantizedLinear[]; outputs: Tensor[] }> {
  const { run, index, replicas } = work;
  const linears: QuantizedLinear[] = [];
  let outputs: Tensor[] = [];
  using _claimed = run.spare.claim(stage.spareBytes);
  try {
    for (const groups of stage.parts) {
      const last = stage.last && groups === stage.parts.at(-1);
      const observed = await run.clock.measure('calibrate', () =>
        observePart(work, stage, groups, last),
      );
      outputs = observed.outputs;
      try {
        const given = { run, index, groups, replicas, parameters, observed: observed.groups };
        linears.push(...(await quantizeStage(given)));
      } finally {
        for (const group of observed.groups.values()) disposeObserved(group);
      }
    }
    return { linears, outputs };
  } catch (error) {
    disposeAll(outputs);
    for (const linear of linears) disposeLinear(linear);
    throw error;
  }
}

/** Has all devices execute what was quantized. */
async function share({ run, replicas }: Work, linears: readonly QuantizedLinear[]): Promise<void> {
  for (const linear of linears) await shareLinear(run, replicas, linear.name, linear);
}

function groupsOf({ run, index, paths, replicas }: Work) {
  const first = paths.quantized[0] ?? paths.float[0];
  if (first === undefined) throw new RangeError('No mini-batch to observe.');
  return inputGroups(run, index, replicas.first.float, first);
}

/** Found when a stage comes to the experts, which is a named one or all; none before. */
async function routesFor(work: Work, { name, last }: Stage): Promise<readonly Routes[]> {
  if (name === undefined && !last) return [];
  const path = neededPaths(work.run).float ? floatPath(work) : quantizedPath(work);
  // Where nothing has been quantized, what comes before the experts is still to be observed.
  return await routesOn(work, path, work.linears.size > 0);
}

/** None where there are no experts. */
async function routesOn({ run, index }: Work, path: ObservedPath, keep: boolean) {
  const { experts } = shapeOf(run.model, index);
  return experts === undefined ? [] : await findRoutes(run, experts, path, keep);
}

const floatPath = ({ paths, replicas, heldFloat }: Work): ObservedPath => ({
  states: paths.float,
  on: (device) => replicas.of(device).float,
  held: heldFloat,
});

const quantizedPath = ({ paths, replicas, heldQuantized }: Work): ObservedPath => ({
  states: paths.quantized,
  on: (device) => replicas.of(device).quantized,
  held: heldQuantized,
});

/** One part of a stage; `last` says whether it is the block's last. */
function observePart(work: Work, stage: Stage, groups: Stage['parts'][number], last: boolean) {
  const { run, index, paths, linears, activations } = work;
  const { devices, model, context, heldOutFrom, throwIfAborted } = run;
  const needed = neededPaths(run);
  const float = floatPath(work);
  // The two paths are one as long as nothing before has been quantized.
  const one = !paths.parted && linears.size === 0 && activations === undefined;
  const needs = groups.map((group) => needsOf(run, group, !one));
  const quantized = one ? float : quantizedPath(work);
  const { propagate, certificateSamples = Number.POSITIVE_INFINITY } = run.options;
  const onQuantized =
    propagate === 'quantized' || needs.some(({ quantizerMoment }) => quantizerMoment);
  const onFloat =
    propagate === 'float' ||
    needs.some(({ drift, reference }) => drift && reference === 'float') ||
    (needed.float && last);
  const sequence = shapeOf(model, index).sequence ?? context.sequence;
  return observe({
    devices,
    float: onFloat ? float : undefined,
    quantized: onQuantized ? quantized : undefined,
    groups,
    sequence,
    planOf: (group) => needsOf(run, group, !one),
    heldOutFrom,
    momentTokens: certificateSamples * sequence,
    outputs: needed.float && last,
    cut: cutPass(shapeOf(model, index), stage.name, groups),
    more: {
      float: !last,
      quantized: !stage.last || (!one && advancesQuantized(run, index) && !choosesAnew(work)),
    },
    throwIfAborted,
  });
}

/** Whether anything reads what the quantized block makes of the quantized path. */
function advancesQuantized(run: Run, index: number): boolean {
  const { model, keepsStates, sites } = run;
  const read = index < model.blocks - 1 || keepsStates || sites.model;
  return read && neededPaths(run).quantized;
}

/** Whether the experts of the quantized path are the float path's until it moves on: what is saved chooses for itself. */
function choosesAnew({ run, index }: Work): boolean {
  const { experts } = shapeOf(run.model, index);
  return experts !== undefined && neededPaths(run).float && advancesQuantized(run, index);
}

/** Float outputs are there already; the quantized path runs through what was just quantized. */
async function leaveBlock(
  work: Work,
  outputs: Tensor[],
  bias: BlockBias | undefined,
): Promise<void> {
  const { run, index, paths, replicas, heldQuantized } = work;
  if (!advancesQuantized(run, index)) {
    paths.advance(outputs, outputs);
    return;
  }
  const added = bias?.added;
  if (added !== undefined) {
    await onEach(run.devices, (device) => replicas.of(device).takeOutputBias(added));
  }
  const places = paths.quantized.map(({ device }) => device);
  const pass = (batch: number, device: Device) => {
    const x = paths.quantized[batch] as Tensor;
    const replica = replicas.of(device);
    const y = replica.output(heldQuantized.run(batch, x, replica.quantized, false));
    heldQuantized.release(batch);
    return y;
  };
  paths.advance(outputs, await mapBatches(places, pass, run.throwIfAborted));
}

function disposeBlock(
  linears: ReadonlyMap<string, QuantizedLinear>,
  bias: BlockBias | undefined,
): void {
  for (const linear of linears.values()) disposeLinear(linear);
  bias?.dispose();
}
