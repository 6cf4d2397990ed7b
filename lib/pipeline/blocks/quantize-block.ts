// One block, in stages: statistics of what the stage's linears read, then each of them quantized and compensated.
// A true-sequential block has a stage for each input group, so that a linear's statistics are those of inputs that
// the quantized linears before it produce (experts, which read nothing of each other, share two stages); otherwise, and
// where no path runs through quantized linears, all groups are one stage. At the end the block's output is compensated if asked for, and both paths move on. Grids that are found
// before linears are quantized come first.

import type { BlockQuantizers } from '../../activations/index.js';
import type { Device, Tensor } from '../../device/index.js';
import { disposeAll, mapBatches, onEach, PerDevice } from '../../execution/index.js';
import { type BlockShape, type Routes, shapeOf } from '../../models/index.js';
import { calibrateGrids } from '../grids/grid-calibration.js';
import { disposeParameters } from '../grids/linear-search.js';
import type { Paths, Run } from '../run.js';
import { type BlockBias, compensateBlock } from '../sites/block-site.js';
import { findRoutes, type RouteOf } from './find-routes.js';
import { HeldStates } from './held-states.js';
import { neededPaths, needsOf } from './needs.js';
import {
  disposeObserved,
  type InputGroup,
  inputGroups,
  leaderOf,
  type ObservedPath,
  observe,
} from './observe.js';
import { disposeLinear, type QuantizedLinear } from './quantize-linear.js';
import { quantizeStage } from './quantize-stage.js';
import { Replica, shareLinear } from './replica.js';

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
  /** What has been quantized so far. */
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
    for (const stage of stagesOf(work)) {
      const { groups } = stage;
      if (routes.length === 0) {
        routes = await clock.measure('calibrate', () => routesFor(work, stage));
      }
      const observed = await clock.measure('calibrate', () => observeStage(work, stage));
      outputs = observed.outputs;
      try {
        const { weights: parameters } = grids;
        const given = { run, index, groups, replicas, parameters, observed: observed.groups };
        for (const linear of await quantizeStage(given)) {
          linears.set(linear.name, linear);
          onLayer(linear);
        }
      } finally {
        for (const group of observed.groups.values()) disposeObserved(group);
      }
      await clock.measure('propagate', () => share(work, groups.flat()));
    }
    bias = await clock.measure('compensate', () => compensateBlock({ ...work, outputs }));
    if (choosesAnew(work)) {
      routes = await clock.measure('propagate', () => routesOn(work, quantizedPath(work), true));
    }
    await clock.measure('propagate', () => advance(work, outputs, bias));
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

/** Has all devices execute what was quantized. */
async function share(work: Work, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const linear = work.linears.get(name);
    if (linear !== undefined) await shareLinear(work.run, work.replicas, name, linear);
  }
}

/** What is observed, and then quantized, together. */
interface Stage {
  readonly groups: readonly InputGroup[];
  /** Of linears that read nothing of each other; see `LinearSpec`. */
  readonly name: string | undefined;
  readonly last: boolean;
}

function stagesOf({ run, index, paths, replicas }: Work): Stage[] {
  const first = paths.quantized[0] ?? paths.float[0];
  if (first === undefined) throw new RangeError('No mini-batch to observe.');
  const groups = inputGroups(run, index, replicas.first.float, first);
  const each = run.options.trueSequential && neededPaths(run).quantized;
  const stages = each
    ? sideBySide(shapeOf(run.model, index), groups)
    : [{ groups, name: undefined }];
  return stages.map((stage, i) => ({ ...stage, last: i === stages.length - 1 }));
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

/** Output channels of the linears of a named stage. */
function channelsOf({ linears }: BlockShape, stage: string | undefined) {
  if (stage === undefined) return undefined;
  const own = linears.filter((linear) => linear.stage === stage);
  return new Map(own.map(({ name, outChannels }) => [name, outChannels]));
}

function observeStage(work: Work, { name, groups, last }: Stage) {
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
    unread: last ? undefined : channelsOf(shapeOf(model, index), name),
    more: {
      float: !last,
      quantized: !last || (!one && advancesQuantized(run, index) && !choosesAnew(work)),
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
async function advance(work: Work, outputs: Tensor[], bias: BlockBias | undefined): Promise<void> {
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
