// What a caller may ask of a quantization, its defaults, and what is refused. Defaults live here and nowhere else.

import { type DeviceNames, deviceNames } from '../device/index.js';
import { BallastError } from '../errors.js';
import { type Client, clients, expectClient, findFormat } from '../export/index.js';
import {
  type Check,
  checkOptions,
  isBetween,
  isBoolean,
  isNames,
  isOneOf,
  isSetOf,
  isSignal,
  isString,
  isWhole,
} from '../option-checks.js';
import {
  defaultQuantizer,
  findQuantizer,
  type Quantizer,
  quantizers,
} from '../quantizers/index.js';
import {
  type ActivationOptions,
  activationChecks,
  activationDefaults,
  expectActivationOptions,
} from './activation-options.js';

export type CompensationGranularity = 'none' | 'channel' | 'position';
export type Site = 'linear' | 'matmul' | 'attention' | 'mlp' | 'block' | 'model';
export type Propagate = 'float' | 'quantized';

export interface QuantizeOptions extends ActivationOptions {
  /** Directory that receives the result; must not exist or be empty, unless `overwrite`. */
  readonly output: string;
  /** Calibration text: .txt, .jsonl or .parquet. Of an image classifier images: a directory, list file or .safetensors. */
  readonly calibration: string;
  /** Field of JSONL or column of parquet, or a path with dots to it; default 'text'. */
  readonly field?: string;
  /** Calibration samples; default 128. */
  readonly samples?: number;
  /** Tokens per sample; default 2048 or what the model supports. */
  readonly sequenceLength?: number;
  /** 'sequential' takes consecutive windows from the start; 'random' draws their starts. Default 'random'. */
  readonly sampling?: 'sequential' | 'random';
  /** Seed of everything random; default 0. */
  readonly seed?: number;

  /** Name of a registered quantizer; the registry says which is the default. */
  readonly method?: string;
  /** Bits per weight, 2 to 8; default 4. */
  readonly bits?: number;
  /** Input channels that share a scale; 0 (default) for one scale per output channel. */
  readonly groupSize?: number;
  /** Fixed zero point in the middle of the codes; default false. */
  readonly symmetric?: boolean;
  /** 'mse' searches the clipping range; default 'none', unless the method says otherwise. */
  readonly clip?: 'none' | 'mse';
  /**
   * How each output channel's range of a weight is searched, for methods that take scales found before: by what changes
   * the linear's output least, in angle ('cosine') or weighed by the loss's gradients ('hessian', image classifiers
   * only), in turns with a search for activation ranges if there is one. Default 'none'.
   */
  readonly weightSearch?: 'none' | 'cosine' | 'hessian';
  /** What scales are rounded to; default 'float32'. */
  readonly scaleDtype?: 'float32' | 'float16' | 'bfloat16';
  /**
   * Share of the mean diagonal added to a moment before anything is fitted to it; default 0.01, unless the method
   * says otherwise.
   */
  readonly damping?: number;
  /** Sweep columns in order of decreasing moment; default false. */
  readonly actOrder?: boolean;
  /** With actOrder: groups are runs of the original columns; default false. */
  readonly staticGroups?: boolean;
  /** Rounds of refits at most, of methods that refit; default 3. */
  readonly rounds?: number;
  /** Order in which refits go through the columns; default 'cyclic', unless the method says otherwise. */
  readonly order?: 'cyclic' | 'greedy';
  /**
   * 'scales' moves each scale to where the layer's error is least, the codes being found (rtn, gptq). Default 'none', but
   * 'scales' for gptq with a joint fit: all that is linear then follows from one objective.
   */
  readonly refit?: 'none' | 'scales';

  /** Granularity of the bias; default 'channel'. */
  readonly compensation?: CompensationGranularity;
  /** Which outputs are compensated; default ['linear']. */
  readonly sites?: readonly Site[];
  /**
   * 'joint' quantizes against the centred covariance, knowing that a bias will take the mean; 'sequential' against the
   * second moment, as without a bias. Default 'joint'; without compensation always 'sequential'.
   */
  readonly fit?: 'joint' | 'sequential';
  /** Which path's inputs errors and biases are measured on; default 'quantized'. */
  readonly propagate?: Propagate;
  /**
   * What a quantized linear shall reproduce: what its own float weight makes of the same inputs ('layer'), or what the
   * float path's linear makes of the float path's inputs ('float'; with propagate 'quantized' only). Default 'layer'.
   */
  readonly target?: 'layer' | 'float';
  /** Take a linear's statistics after the linears before it in the block were quantized; default true. */
  readonly trueSequential?: boolean;
  /**
   * Samples that second moments are taken of at least, for a method that reads none itself; default all. Moments are most of
   * what such a run costs beyond running the model, and only tell errors: these are then as large as those samples say.
   */
  readonly certificateSamples?: number;
  /** Held-out samples that judge each bias, as a share of `samples`; 0 keeps every bias. Default 1/8. */
  readonly heldOut?: number;
  /** k of the shrinkage b·n/(n + k), n the observations that a bias is a mean of; default 0. */
  readonly shrinkage?: number;

  /** What the result is written as; default 'huggingface'. A format may bring defaults of its own for the grid. */
  readonly format?: string;
  /** What will load the result; biases that it would not read are not fitted. Default: the format's first client. */
  readonly client?: Client;
  /**
   * The model type that the result is written as, where that computes exactly the same; others have biases in more
   * linears. Default: the source's.
   */
  readonly architecture?: string;

  /**
   * A name of `listDevices`, 'cuda' for every GPU, or a list of names, which share the samples; the first quantizes.
   * Default 'cpu'.
   */
  readonly device?: DeviceNames;
  /** Compute threads of a CPU device; default one per processor. */
  readonly threads?: number;
  /** How matrix products are formed; default 'float32'. */
  readonly precision?: 'float32' | 'bfloat16';
  /**
   * Bytes that each device may hold beyond what `planMemory` counts, so that what the last linear of an MLP reads is not
   * computed twice. Results are the same. Default: what is free, but for the plan and half of the host's memory, or an
   * eighth of a GPU's.
   */
  readonly spareBytes?: number;
  /** Replace an existing result; default false. */
  readonly overwrite?: boolean;
  /** Bytes of a weight file at most; default 5 GB. */
  readonly maxShardBytes?: number;
  /** Hub access token, for a hub id. */
  readonly token?: string;
  readonly signal?: AbortSignal;
}

/** Every option with its value; what a report records. */
export type ResolvedOptions = Required<
  Omit<QuantizeOptions, 'signal' | 'token' | OptionWithoutDefault>
> &
  Pick<QuantizeOptions, OptionWithoutDefault>;

type OptionWithoutDefault =
  | 'sequenceLength'
  | 'certificateSamples'
  | 'threads'
  | 'spareBytes'
  | 'client'
  | 'architecture';

export const defaults = {
  field: 'text',
  samples: 128,
  sampling: 'random',
  seed: 0,
  method: defaultQuantizer.name,
  bits: 4,
  groupSize: 0,
  symmetric: false,
  clip: 'none',
  weightSearch: 'none',
  scaleDtype: 'float32',
  damping: 0.01,
  actOrder: false,
  staticGroups: false,
  rounds: 3,
  order: 'cyclic',
  refit: 'none',
  ...activationDefaults,
  compensation: 'channel',
  sites: ['linear'],
  fit: 'joint',
  propagate: 'quantized',
  target: 'layer',
  trueSequential: true,
  heldOut: 1 / 8,
  shrinkage: 0,
  format: 'huggingface',
  device: 'cpu',
  precision: 'float32',
  overwrite: false,
  maxShardBytes: 5e9,
} as const satisfies Partial<QuantizeOptions>;

/** Those of a search: to choose among dozens of combinations takes more held-out samples than to judge one bias. */
export const searchDefaults = { ...defaults, heldOut: 1 / 2 } as const;

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
  threads: isWhole(1, 1024),
  precision: isOneOf('float32', 'bfloat16'),
  spareBytes: isWhole(0),
  overwrite: isBoolean,
  maxShardBytes: isWhole(1),
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
  const present = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  );
  const format = findFormat((present.format as string | undefined) ?? defaults.format);
  const quantizer = findQuantizer((present.method as string | undefined) ?? defaults.method);
  const { fit, compensation } = { ...defaults, ...present } as Partial<ResolvedOptions>;
  const resolved = {
    output,
    calibration,
    ...defaults,
    ...quantizer.defaults,
    ...(fit === 'joint' && compensation !== 'none' ? quantizer.jointDefaults : {}),
    ...format.gridDefaults,
    ...present,
  } as ResolvedOptions;
  if (resolved.staticGroups && !resolved.actOrder) {
    throw new BallastError(
      'ERR_ARGUMENT',
      'Expected actOrder with staticGroups: without it groups are static anyway.',
    );
  }
  deviceNames(resolved.device);
  expectMethodFor(resolved, quantizer);
  expectActivationOptions(resolved);
  const comparesPaths =
    resolved.target === 'float' ||
    resolved.sites.some((site) => site === 'matmul' || site === 'attention' || site === 'mlp');
  if (comparesPaths && resolved.propagate === 'float') {
    throw new BallastError(
      'ERR_ARGUMENT',
      "Expected propagate 'quantized' with target 'float' and with the sites matmul, attention and mlp: on the float path nothing before a linear has been lost.",
    );
  }
  format.expectGrid?.(resolved);
  expectClient(format.name, resolved.client);
  if (resolved.activationBits > 0) {
    format.expectActivations?.(resolved.activationRange === 'dynamic');
  }
  return { options: resolved, quantizer };
}

/** Refuses options that the method would not heed. */
function expectMethodFor(
  { weightSearch, actOrder, refit, clip, target, certificateSamples }: ResolvedOptions,
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
    expect('actOrder', 'can be told the order of columns', ({ takesOrder = false }) => takesOrder);
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
}
