// Observation: which linears share an input, and the sums over what they read. An observer wraps whoever
// executes the block's linears and notes their inputs on the way; a block whose remaining linears nobody
// observes is left early. Both paths are run mini-batch by mini-batch side by side, so that what the two read of
// the same tokens can be compared. Each device sums its own mini-batches; the first adds up, in the devices' order.

import { allOrNothing } from '../../all-or-nothing.js';
import type { Device, Tensor } from '../../device/index.js';
import { mapBatches } from '../../execution/index.js';
import {
  type BatchContext,
  type BlockShape,
  type Linear,
  type Route,
  routesOf,
  shapeOf,
} from '../../models/index.js';
import type { GroupStatistics } from '../../statistics/index.js';
import type { Run } from '../run.js';
import { BlockSums, totalOf } from './block-sums.js';
import type { HeldStates } from './held-states.js';
import type { GroupPlan } from './needs.js';

/** Linears of a block that read the same tensor, in order of execution. */
export type InputGroup = readonly string[];

/** Runs one mini-batch through the block under observation. */
export type BlockRun = (x: Tensor, linear: Linear, batch?: BatchContext) => Tensor;

/** The linear that a group is known by. */
export function leaderOf(group: InputGroup): string {
  return group[0] ?? '';
}

const knownGroups = new WeakMap<BlockShape, readonly InputGroup[]>();

/** The groups of a block, found by running it, or another of its shape, once. */
export function inputGroups(
  { device, model }: Run,
  index: number,
  { run, linear }: PathRunner,
  x: Tensor,
): readonly InputGroup[] {
  const shape = shapeOf(model, index);
  const known = knownGroups.get(shape);
  if (known !== undefined) return known;
  const groups = new Map<Tensor, string[]>();
  device.scope(() => {
    const recording: Linear = (name, input, options) => {
      const group = groups.get(input);
      if (group === undefined) groups.set(input, [name]);
      else group.push(name);
      return linear(name, input, options);
    };
    run(x, recording, { route: anyRoute(shape, x) });
    return undefined;
  });
  const found = [...groups.values()];
  knownGroups.set(shape, found);
  return found;
}

/** Experts call the same linears whichever tokens they get. */
function anyRoute({ experts }: BlockShape, { rows }: Tensor): Route | undefined {
  if (experts === undefined) return undefined;
  const { count, perToken } = experts;
  const chosen = Int32Array.from({ length: rows * perToken }, (_, slot) => slot % count);
  return () => routesOf(chosen, perToken, count);
}

/** Ends a block's execution when everything to be observed has been. */
class EndOfObservation extends Error {}

/** What runs a path's mini-batches on one device. */
export interface PathRunner {
  readonly run: BlockRun;
  readonly linear: Linear;
  /** What quantized linears see of an input, where that is not the input itself. */
  readonly seen: (linear: string, input: Tensor) => Tensor;
}

/** One path through the block. */
export interface ObservedPath {
  /** Hidden states, one tensor a mini-batch. */
  readonly states: readonly Tensor[];
  readonly on: (device: Device) => PathRunner;
  /** Where passes over the block start. */
  readonly held: HeldStates;
}

interface Observation {
  /** The first gets all sums. */
  readonly devices: readonly Device[];
  readonly float?: ObservedPath | undefined;
  /** The same object as `float` where both paths are one. */
  readonly quantized?: ObservedPath | undefined;
  readonly groups: readonly InputGroup[];
  readonly sequence: number;
  readonly planOf: (group: InputGroup) => GroupPlan;
  /** Mini-batches from this one on are held out from fitting. */
  readonly heldOutFrom: number;
  /** Tokens of the fitted ones, and of those held out, that moments are summed over at least. */
  readonly momentTokens: number;
  /** Whether the float path's outputs are wanted too; otherwise it is left after the last group. */
  readonly outputs: boolean;
  /** How passes that end with the last group are run. */
  readonly cut: CutPass;
  /** On which paths passes over the same block follow. */
  readonly more: { readonly float: boolean; readonly quantized: boolean };
  /** Called before each mini-batch; throws to stop. */
  readonly throwIfAborted: () => void;
}

/** What need not be run of a block that is left after the last group. */
export interface CutPass {
  /** Output channels of linears that read nothing of each other: what they make is read by nobody then, and not computed. */
  readonly unread: ReadonlyMap<string, number>;
  /** Those of which something is observed; see `BatchContext`. */
  readonly experts: ReadonlySet<string>;
}

/** What one group read. */
export interface ObservedGroup {
  readonly fitted: GroupStatistics;
  readonly heldOut: GroupStatistics | undefined;
}

/** The same on another device, or in handles of their own; disposed together. */
export async function observedOn(
  device: Device,
  { fitted, heldOut }: ObservedGroup,
): Promise<ObservedGroup & Disposable> {
  const copied = await allOrNothing(async (own) => ({
    fitted: await own(fitted.copyTo(device)),
    heldOut: await own(heldOut?.copyTo(device)),
  }));
  return { ...copied, [Symbol.dispose]: () => disposeObserved(copied) };
}

export function disposeObserved({ fitted, heldOut }: ObservedGroup): void {
  fitted.dispose();
  heldOut?.dispose();
}

interface ObservedBlock {
  /** By the group's first linear. */
  readonly groups: ReadonlyMap<string, ObservedGroup>;
  /** The float path's, one tensor a mini-batch; empty unless wanted. */
  readonly outputs: Tensor[];
}

/** Runs every mini-batch through the block and sums what the groups read. */
export async function observe(observation: Observation): Promise<ObservedBlock> {
  const { devices, float, quantized, groups, sequence, heldOutFrom } = observation;
  const places = ((float ?? quantized)?.states ?? []).map(({ device }) => device);
  const plansWith = (besides: Partial<GroupPlan>) =>
    new Map(groups.map((group) => [leaderOf(group), { ...observation.planOf(group), ...besides }]));
  using fitted = BlockSums.on(devices, plansWith({}), sequence);
  // What is held out judges; it is never quantized against.
  using heldOut =
    heldOutFrom < places.length
      ? BlockSums.on(devices, plansWith({ quantizerMoment: false }), sequence)
      : undefined;
  const run = (batch: number, device: Device) => {
    const sums = batch < heldOutFrom ? fitted : (heldOut ?? fitted);
    return observeBatch(observation, batch, device, sums.of(device));
  };
  const outputs = await mapBatches(places, run, observation.throwIfAborted);
  return await allOrNothing(async (own) => {
    for (const output of outputs) await own(output);
    const observed = new Map<string, ObservedGroup>();
    for (const leader of groups.map(leaderOf)) {
      const judge = await own(heldOut && totalOf(heldOut, leader));
      observed.set(leader, { fitted: await own(totalOf(fitted, leader)), heldOut: judge });
    }
    return { groups: observed, outputs };
  });
}

function observeBatch(
  { float, quantized, outputs, more, heldOutFrom, momentTokens, cut }: Observation,
  batch: number,
  device: Device,
  sums: BlockSums,
): Tensor | undefined {
  const leaders = new Set(sums.plans.keys());
  const pass = (path: ObservedPath | undefined, toTheEnd: boolean) => {
    const x = path?.states[batch];
    if (path === undefined || x === undefined) return undefined;
    const runner = { ...path.on(device), held: path.held };
    const keep = path === float ? more.float : more.quantized;
    return recordReads(runner, { batch, x, keep, ...(!toTheEnd && cut) }, leaders, toTheEnd);
  };
  const onFloat = pass(float, outputs);
  const onQuantized = quantized === float ? onFloat : pass(quantized, false);
  if (!more.float) float?.held.release(batch);
  const [first] = (float ?? quantized)?.states ?? [];
  const before = (batch < heldOutFrom ? batch : batch - heldOutFrom) * (first?.rows ?? 0);
  for (const [leader, plan] of sums.plans) {
    const own = (plan.path === 'float' ? onFloat : onQuantized)?.reads.get(leader);
    const reference = plan.reference === 'float' ? onFloat?.reads.get(leader) : own;
    const quantizerInputs = onQuantized?.reads.get(leader)?.seen;
    const reads = { inputs: own?.seen, reference: reference?.given, quantizerInputs };
    sums.of(leader).add(reads, before < momentTokens);
  }
  return onFloat?.output;
}

/** An input before and after it is quantized; the same tensor where it is not. */
interface Read {
  readonly given: Tensor;
  readonly seen: Tensor;
}

interface RecordedPass extends Partial<CutPass> {
  readonly batch: number;
  readonly x: Tensor;
  readonly keep: boolean;
}

/** What the groups' first linears read, and the output unless the block was left early. */
function recordReads(
  { run, linear, seen, held }: PathRunner & Pick<ObservedPath, 'held'>,
  { batch, x, keep, unread, experts }: RecordedPass,
  leaders: ReadonlySet<string>,
  toTheEnd: boolean,
): { reads: Map<string, Read>; output: Tensor | undefined } {
  const reads = new Map<string, Read>();
  const recording: Linear = (name, input, options) => {
    if (leaders.has(name)) {
      reads.set(name, { given: input, seen: seen(name, input) });
      if (!toTheEnd && reads.size === leaders.size) throw new EndOfObservation();
    }
    const width = unread?.get(name);
    return width === undefined
      ? linear(name, input, options)
      : input.device.zeros('float32', [input.rows, width]);
  };
  try {
    const output = held.run(batch, x, { run, linear: recording, unread, experts }, keep);
    return { reads, output: toTheEnd ? output : undefined };
  } catch (error) {
    if (error instanceof EndOfObservation) return { reads, output: undefined };
    throw error;
  }
}
