// What a run will hold in memory, told before it begins: from the headers of the checkpoint and the options alone, no weight
// and no text is read. Counted is what grows with the model or the samples and stands at the same time in the largest
// block, with one input group observed at a time; the process itself, and memory that an allocator keeps for later, come on
// top. Of several devices the first is counted, which holds the most: it has as many samples as any, and takes in the others'
// statistics.

import type { Checkpoint } from '../../checkpoint/checkpoint.js';
import { bytesPerElement } from '../../checkpoint/dtypes.js';
import { storedBytes } from '../../checkpoint/tensor-info.js';
import { deviceNames } from '../../device/index.js';
import { batchSize, operandTypeOf } from '../../execution/index.js';
import {
  type BlockModel,
  type BlockShape,
  type ExpertCounts,
  isLanguageModel,
  type LinearSpec,
  shapeOf,
  type VisionModel,
} from '../../models/index.js';
import { neededPaths } from '../blocks/needs.js';
import { judgesOf, sequenceLengthOf } from '../calibration-data.js';
import type { ResolvedOptions } from '../options/options.js';
import type { Run } from '../run.js';
import { batchTokensOf } from './batch-tokens.js';
import {
  leastMomentBytes,
  type MomentCounts,
  momentBytes,
  momentCounts,
  passesOver,
  plannedStages,
} from './moment-memory.js';

export interface MemoryPart {
  /** Such as 'hidden states'. */
  readonly what: string;
  readonly bytes: number;
}

export interface MemoryPlan {
  readonly parts: readonly MemoryPart[];
  /** Of all parts. */
  readonly bytes: number;
  /** What besides is held at most where memory is to spare, see `spareBytes`. */
  readonly heldBytes: number;
  /** Where linears of a block may be observed together that read different inputs, such as all experts'. */
  readonly passes: ObservationPasses | undefined;
  /** Tokens of the samples, those that judge included. */
  readonly tokens: number;
  /** How many share them; no other holds more than what is told. */
  readonly devices: number;
}

/** Over the mini-batches, to observe those of the block that takes most; an upper bound without `trueSequential`. */
export interface ObservationPasses {
  /** With nothing besides `bytes`. */
  readonly most: number;
  /** With `heldBytes` besides. */
  readonly fewest: number;
}

/** What the parts are counted from. */
interface Plan {
  /** Whether the next block's weights are brought into its own memory while a block is worked on. */
  readonly loadsAhead: boolean;
  readonly checkpoint: Checkpoint;
  readonly model: BlockModel;
  readonly options: ResolvedOptions;
  readonly paths: { readonly float: boolean; readonly quantized: boolean };
  readonly moments: MomentCounts;
  /** Of a device, those that judge included. */
  readonly samples: number;
  /** Of a mini-batch. */
  readonly batchTokens: number;
}

const float32 = 4;

/** What is known of a run before it begins. */
type Planned = Pick<Run, 'checkpoint' | 'model' | 'options' | 'quantizer' | 'sites'>;

export function memoryPlanOf(planned: Planned): MemoryPlan {
  const { checkpoint, model, options } = planned;
  const sequence = isLanguageModel(model)
    ? sequenceLengthOf(model, options)
    : (model as VisionModel).sequence;
  const names = deviceNames(options.device);
  const devices = names.length;
  const kinds = [options.samples, judgesOf(options)];
  const batchTokens = batchTokensOf(options, sum(kinds) * sequence);
  const size = batchSize(sequence, batchTokens);
  const samples = sum(kinds.map((count) => shareOf(count, size, devices)));
  const run = { ...planned, keepsStates: false };
  const plan: Plan = {
    ...{ checkpoint, model, options, samples, batchTokens },
    loadsAhead: names[0] !== 'cpu',
    paths: neededPaths(run),
    moments: momentCounts(run),
  };
  const blocks = Array.from({ length: model.blocks }, (_, index) => {
    const parts = partsOf(plan, index, sequence);
    return { parts, bytes: sum(parts.map(({ bytes }) => bytes)), ...heldOf(plan, index, sequence) };
  });
  const { parts, bytes } = mostBy(blocks, (block) => block.bytes);
  const { heldBytes } = mostBy(blocks, (block) => block.heldBytes);
  const { passes } = mostBy(blocks, (block) => block.passes?.most ?? 0);
  return { parts, bytes, heldBytes, passes, tokens: sum(kinds) * sequence, devices };
}

/** Samples of the device that is dealt the first mini-batch. */
function shareOf(samples: number, size: number, devices: number): number {
  const batches = Math.ceil(samples / size);
  return Math.min(samples, Math.ceil(batches / devices) * size);
}

function partsOf(plan: Plan, index: number, embedded: number): MemoryPart[] {
  const shape = shapeOf(plan.model, index);
  const sequence = shape.sequence ?? embedded;
  const next = plan.loadsAhead && index + 1 < plan.model.blocks;
  // On the host, whatever the device.
  const onHost = !plan.loadsAhead;
  return [
    { what: 'weights of a block', bytes: blockBytes(plan, index) },
    ...(next ? [{ what: 'weights of the next', bytes: uploadedBytes(plan, index + 1) }] : []),
    ...(onHost ? [{ what: 'a result on its way', bytes: weightBytes(plan, index) }] : []),
    { what: 'hidden states', bytes: stateBytes(plan, shape, sequence) },
    { what: 'statistics', bytes: leastMomentBytes(plan.moments, shape) },
    { what: 'a linear at work', bytes: linearBytes(shape) },
    { what: 'a mini-batch at work', bytes: batchBytes(plan, shape, sequence) },
  ];
}

/** What memory to spare is for in a block: states, and statistics of all groups of a stage at once. */
function heldOf(plan: Plan, index: number, embedded: number) {
  const { model, options, paths, moments } = plan;
  const shape = shapeOf(model, index);
  const stages = plannedStages(shape, options.trueSequential && paths.quantized);
  const least = leastMomentBytes(moments, shape);
  const atOnce = Math.max(...stages.map((widths) => momentBytes(moments, widths)));
  const wanted = heldStateBytes(plan, index, embedded) + atOnce - least;
  const heldBytes = Math.min(wanted, options.spareBytes ?? Number.POSITIVE_INFINITY);
  const passesWith = (bytes: number) => passesOver(stages, moments, least + bytes);
  const most = passesWith(0);
  return { heldBytes, passes: most === 0 ? undefined : { most, fewest: passesWith(heldBytes) } };
}

/** What the widest linear reads, of each token, or all experts' last ones: see held-states.ts. */
function heldStateBytes({ model, options, paths, samples }: Plan, index: number, embedded: number) {
  if (!options.trueSequential || !paths.quantized) return 0;
  const { precision, activationBits } = options;
  const { linears, experts, hiddenSize, sequence = embedded } = shapeOf(model, index);
  const isLast = ({ stage, outChannels }: LinearSpec) =>
    stage !== undefined && outChannels === hiddenSize;
  const ofExperts = widestOf(linears.filter(isLast), experts, ({ inChannels }) => inChannels);
  const others = linears.filter(({ stage }) => stage === undefined);
  const widest = Math.max(ofExperts, ...others.map(({ inChannels }) => inChannels));
  return (
    samples * sequence * widest * bytesPerElement(operandTypeOf(precision, activationBits > 0))
  );
}

/** As stored, and the quantized weight and its codes beside it. */
function blockBytes(plan: Plan, index: number): number {
  const sizes = storedWeights(plan, index).map(({ shape }) => shape.reduce((a, b) => a * b, 1));
  return 2 * weightBytes(plan, index) + sum(sizes);
}

function weightBytes(plan: Plan, index: number): number {
  return sum(storedWeights(plan, index).map(({ bytes }) => bytes));
}

/** Of FP8 and MXFP4 weights their codes, until the block is loaded. */
function uploadedBytes(plan: Plan, index: number): number {
  return sum(storedWeights(plan, index).map(storedBytes));
}

function storedWeights({ checkpoint, model }: Plan, index: number) {
  const block = model.blockName(index);
  return shapeOf(model, index).linears.map(({ name }) =>
    checkpoint.tensor(`${block}.${name}.weight`),
  );
}

/** Of each path, and once more: what leaves a block stands beside what enters it. */
function stateBytes({ paths, samples }: Plan, { hiddenSize }: BlockShape, sequence: number) {
  const copies = Number(paths.float) + Number(paths.quantized) + 1;
  return copies * samples * sequence * hiddenSize * float32;
}

/** The target, what the quantizer makes of it, and the difference of both weights. */
function linearBytes({ linears }: BlockShape): number {
  const copies = 4;
  const sizes = linears.map(({ inChannels, outChannels }) => inChannels * outChannels);
  return copies * Math.max(...sizes) * float32;
}

/**
 * What a block's operations hold of one mini-batch: the residual stream, a linear's input and its output, and of experts all
 * that they read and make, which stands until the last of them is done.
 */
function batchBytes(
  { samples, batchTokens }: Plan,
  { linears, hiddenSize, experts }: BlockShape,
  sequence: number,
) {
  const widthOf = ({ inChannels, outChannels }: LinearSpec) => inChannels + outChannels;
  const staged = linears.filter(({ stage }) => stage !== undefined);
  const others = linears.filter(({ stage }) => stage === undefined);
  const widest = Math.max(3 * widestOf(staged, experts, widthOf), ...others.map(widthOf));
  const tokens = Math.min(batchSize(sequence, batchTokens), samples) * sequence;
  return tokens * (widest + 2 * hiddenSize) * float32;
}

/** Of a token in all experts that it goes to: those that are chosen, and one that all tokens go through. */
function widestOf(
  linears: readonly LinearSpec[],
  experts: ExpertCounts | undefined,
  widthOf: (spec: LinearSpec) => number,
): number {
  const widest = (isRouted: boolean) =>
    Math.max(0, ...linears.filter(({ routed = false }) => routed === isRouted).map(widthOf));
  return (experts?.perToken ?? 0) * widest(true) + widest(false);
}

/** The first of the items of which `figure` is the most. */
function mostBy<Item>(items: readonly Item[], figure: (item: Item) => number): Item {
  return items.reduce((most, item) => (figure(item) > figure(most) ? item : most));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
