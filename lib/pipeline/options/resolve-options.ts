// Which options are refused, and what the others come to with the defaults of the library, the method and the format.

import { clients } from '../../clients.js';
import { deviceNames } from '../../device/index.js';
import { BallastError } from '../../errors.js';
import { expectClient, expectEmbeddingBits, expectGrid, findFormat } from '../../export/index.js';
import {
  type Check,
  checkOptions,
  defined,
  isBetween,
  isBoolean,
  isNames,
  isOneOf,
  isSetOf,
  isSignal,
  isString,
  isThreadCount,
  isWhole,
} from '../../option-checks.js';
import { findQuantizer, type Quantizer, quantizers } from '../../quantizers/index.js';
import { activationChecks, expectActivationOptions } from './activation-options.js';
import {
  defaults,
  type QuantizeOptions,
  type ResolvedOptions,
  type SearchOptions,
  searchDefaults,
} from './options.js';
import { superBlockDefaults } from './super-block-options.js';

const checks: Readonly<Record<keyof QuantizeOptions, Check>> = {
  output: isString,
  calibration: isString,
  field: isString,
  samples: isWhole(1),
  sequenceLength: isWhole(2),
  sampling: isOneOf('sequential', 'random'),
  seed: isWhole(0),
  method: isString,
  bits: isWhole(2, 8),
  groupSize: isWhole(0),
  symmetric: isBoolean,
  clip: isOneOf('none', 'mse'),
  weightSearch: isOneOf('none', 'cosine', 'hessian'),
  scaleDtype: isOneOf('float32', 'float16', 'bfloat16'),
  superBlocks: isBoolean,
  damping: isBetween(0, 1),
  actOrder: isBoolean,
  staticGroups: isBoolean,
  rounds: isWhole(1, 100),
  order: isOneOf('cyclic', 'greedy'),
  refit: isOneOf('none', 'scales'),
  ...activationChecks,
  compensation: isOneOf('none', 'channel', 'position'),
  sites: isSetOf('linear', 'matmul', 'attention', 'mlp', 'block', 'model'),
  fit: isOneOf('joint', 'sequential'),
  propagate: isOneOf('float', 'quantized'),
  target: isOneOf('layer', 'float'),
  trueSequential: isBoolean,
  certificateSamples: isWhole(1),
  heldOut: isBetween(0, 0.5),
  shrinkage: isBetween(0, Number.MAX_VALUE),
  format: isString,
  client: isOneOf(...clients),
  architecture: isString,
  device: isNames,
  threads: isThreadCount,
  precision: isOneOf('float32', 'bfloat16'),
  spareBytes: isWhole(0),
  overwrite: isBoolean,
  maxShardBytes: isWhole(1),
  embeddingBits: isWhole(8, 16),
  token: isString,
  signal: isSignal,
};

/** Errors: ERR_ARGUMENT for an unknown option, a missing one, or a value out of range. */
export function resolveOptions(options: QuantizeOptions): {
  options: ResolvedOptions;
  quantizer: Quantizer;
} {
  checkOptions(options, checks, ['output', 'calibration']);
  const { output, calibration, signal: _signal, token: _token, ...given } = options;
  const present = defined(given);
  const { fit, compensation, ...named } = { ...defaults, ...present };
  const format = findFormat(named.format);
  const quantizer = findQuantizer(named.method);
  const resolved = {
    output,
    calibration,
    ...defaults,
    ...quantizer.defaults,
    ...(fit === 'joint' && compensation !== 'none' ? quantizer.jointDefaults : {}),
    ...format.gridDefaults,
    ...superBlockDefaults(present, format),
    ...present,
  } as ResolvedOptions;
  if (resolved.staticGroups && !resolved.actOrder) {
    throw new BallastError(
      'ERR_ARGUMENT',
      'Expected actOrder with staticGroups: without it groups are static anyway.',
    );
  }
  deviceNames(resolved.device);
  expectMethodFor(resolved, present, quantizer);
  expectActivationOptions(resolved, present);
  const comparesPaths =
    resolved.target === 'float' ||
    resolved.sites.some((site) => site === 'matmul' || site === 'attention' || site === 'mlp');
  if (comparesPaths && resolved.propagate === 'float') {
    throw new BallastError(
      'ERR_ARGUMENT',
      "Expected propagate 'quantized' with target 'float' and with the sites matmul, attention and mlp: on the float path nothing before a linear has been lost.",
    );
  }
  expectClient(format, resolved.client);
  expectGrid(format, resolved, resolved.client);
  expectEmbeddingBits(format, resolved.embeddingBits);
  if (resolved.activationBits > 0) {
    format.expectActivations?.(resolved.activationRange === 'dynamic');
  }
  return { options: resolved, quantizer };
}

const { sites: _sites, ...searchChecks } = checks;

/** The options of each run of a search, to be resolved. Errors: ERR_ARGUMENT, also for options that leave nothing to compare. */
export function runOptionsOf(options: SearchOptions): QuantizeOptions {
  checkOptions(options, searchChecks, ['output', 'calibration']);
  const { heldOut = searchDefaults.heldOut } = options;
  if (options.compensation === 'none' || heldOut === 0) {
    throw new BallastError(
      'ERR_ARGUMENT',
      'Expected a compensation and held-out samples for a search: it compares biases on held-out samples.',
    );
  }
  return { ...options, heldOut };
}

/** Refuses options that the method would not heed, of those that were given. */
function expectMethodFor(
  { weightSearch, actOrder, refit, clip, target, certificateSamples }: ResolvedOptions,
  given: Partial<QuantizeOptions>,
  quantizer: Quantizer,
): void {
  const expect = (option: string, what: string, can: (quantizer: Quantizer) => boolean) => {
    if (can(quantizer)) return;
    const able = quantizers.filter(can).map(({ name }) => name);
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected a method that ${what} (${able.join(', ')}) with ${option} but received ${quantizer.name}.`,
    );
  };
  if (weightSearch !== 'none') {
    expect(
      'weightSearch',
      'takes scales found before',
      ({ takesParameters = false }) => takesParameters,
    );
  }
  if (actOrder) {
    expect(
      'actOrder',
      'can be told the order of columns',
      ({ takesActOrder = false }) => takesActOrder,
    );
  }
  if (certificateSamples !== undefined) {
    expect('certificateSamples', 'reads no second moments', ({ needsMoment }) => !needsMoment);
    if (refit === 'scales' || clip === 'mse' || target === 'float') {
      throw new BallastError(
        'ERR_ARGUMENT',
        "Expected neither refit 'scales', clip 'mse' nor target 'float' with certificateSamples: they read the second moments " +
          'of all samples.',
      );
    }
  }
  if (refit === 'scales') {
    expect("refit 'scales'", 'can be told to refit scales', ({ takesRefit = false }) => takesRefit);
  }
  for (const option of ['rounds', 'order'] as const) {
    if (given[option] === undefined) continue;
    expect(option, 'descends', ({ takesRounds = false }) => takesRounds);
  }
}
