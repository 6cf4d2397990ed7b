// What every job over a model's blocks begins and ends with: options checked, checkpoint and calibration data read,
// devices of its own opened and closed, and the caller's signal heeded.

import { Checkpoint } from '../checkpoint/checkpoint.js';
import { withFloatWeights } from '../checkpoint/float-weights.js';
import { OutputDirectory } from '../checkpoint/output/output-directory.js';
import { type Device, openDevices } from '../device/index.js';
import { BallastError, expectNotAborted } from '../errors.js';
import { BlockLoader, expectTensors, operandTypeOf, PerDevice } from '../execution/index.js';
import { findFormat, readByUsAlone } from '../export/index.js';
import {
  type BlockModel,
  countLinears,
  type Rewrite,
  readBlockModel,
  rewriteModel,
} from '../models/index.js';
import { batchesOf, type CalibrationData, readCalibrationData } from './calibration-data.js';
import { Clock } from './clock.js';
import type { QuantizeEvent } from './events.js';
import { fetchWithEvents } from './fetch.js';
import { LossGradients } from './grids/loss-gradients.js';
import { memoryPlanOf } from './memory/memory-plan.js';
import { SpareMemory } from './memory/spare-memory.js';
import { expectExperts } from './options/expect-experts.js';
import type { QuantizeOptions, ResolvedOptions } from './options/options.js';
import { resolveOptions } from './options/resolve-options.js';
import type { Run } from './run.js';
import { findSites, type Sites } from './sites/sites.js';

export async function* withRun<Event, Result>(
  model: string,
  options: QuantizeOptions,
  body: (run: Run, data: CalibrationData) => AsyncGenerator<Event, Result>,
): AsyncGenerator<Event | QuantizeEvent, Result> {
  const { options: resolved, quantizer } = resolveOptions(options);
  const { signal } = options;
  const throwIfAborted = () => expectNotAborted(signal, 'The quantization');
  throwIfAborted();
  const clock = new Clock();
  const { precision, threads } = resolved;
  using opened = openDevices(resolved.device, { precision, threads, signal });
  try {
    const directory = yield* fetchWithEvents(model, options);
    const { output, overwrite } = resolved;
    await OutputDirectory.expectUsable(output, { overwrite, source: directory });
    const { config, model: definition, checkpoint } = await openModel(directory, resolved);
    const sites = findSites(definition, resolved);
    yield startOf(model, definition, sites, resolved);
    const data = await clock.measure('load', () =>
      readCalibrationData(directory, definition, resolved, signal),
    );
    const { sequence } = data;
    const samples = data.fitted.length + data.heldOut.length;
    yield { type: 'calibration', samples, tokens: samples * sequence };
    const { fitted } = batchesOf(data);
    // A device without a mini-batch would only hold weights.
    const devices = opened.devices.slice(0, fitted.length);
    const device = devices[0] as Device;
    using loaders = PerDevice.make(
      devices,
      (place) => new BlockLoader(place, checkpoint, definition),
    );
    using gradients = new LossGradients();
    const job = { checkpoint, model: definition, options: resolved, quantizer, sites };
    const operands = operandTypeOf(resolved.precision, resolved.activationBits > 0);
    const run: Run = {
      ...job,
      source: model,
      device,
      devices,
      loaders,
      config,
      context: { device, sequence, operands },
      keepsStates: false,
      heldOutFrom: fitted.length,
      spare: SpareMemory.of(devices, resolved.spareBytes, memoryPlanOf(job).bytes),
      gradients,
      clock,
      throwIfAborted,
    };
    return yield* body(run, data);
  } catch (error) {
    // Whatever the cancelled device reports first, the cause is the signal.
    throwIfAborted();
    throw error;
  }
}

/** Of a model that the format can hold, in groups that divide it. */
async function openModel(directory: string, options: ResolvedOptions) {
  const found = modelOf(await Checkpoint.open(directory), options);
  await findFormat(options.format).expectModel?.(found.model, found.config, options);
  expectGroups(found.model, options);
  expectExperts(found.model, options);
  return found;
}

function startOf(
  model: string,
  definition: BlockModel,
  { dropped }: Sites,
  options: ResolvedOptions,
): QuantizeEvent {
  const { modelType, blocks } = definition;
  const unread = readByUsAlone(findFormat(options.format), options);
  return {
    type: 'start',
    model,
    modelType,
    blocks,
    linears: countLinears(definition),
    dropped,
    unread,
  };
}

/**
 * The checkpoint's model and the config.json of its result, under the architecture that was asked for. Errors: those of
 * reading either, and of `expectTensors`.
 */
export function modelOf(stored: Checkpoint, { architecture }: ResolvedOptions) {
  const source = withFloatWeights(stored);
  const { config, tensors } = source;
  const names = new Set(tensors.keys());
  const { parts, ...result }: Rewrite & { readonly model: BlockModel } =
    architecture === undefined
      ? { config, model: readBlockModel(config, names) }
      : rewriteModel(config, names, architecture);
  const checkpoint = source.takenApart(parts ?? []);
  expectTensors(checkpoint, result.model);
  return { ...result, checkpoint };
}

/** Refuses a group size that some linear's inputs cannot be divided by, before any work. */
export function expectGroups(model: BlockModel, { groupSize }: ResolvedOptions): void {
  if (groupSize === 0) return;
  const linears = (model.shapes ?? [model]).flatMap((shape) => shape.linears);
  const undivided = linears.find(({ inChannels }) => inChannels % groupSize !== 0);
  if (undivided === undefined) return;
  const fitting = linears.map(({ inChannels }) => inChannels).reduce(greatestDivisor);
  throw new BallastError(
    'ERR_ARGUMENT',
    `Expected a groupSize that divides the ${undivided.inChannels} input channels of ${undivided.name} but received ` +
      `${groupSize}; choose ${fitting} or a divisor of it, which every linear's can be divided by, or 0 for one scale ` +
      'per output channel.',
  );
}

/** Of two numbers (Euclid). */
function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}
