// What evaluations of texts and of images are told alike: from where the model is fetched, when to stop, and which devices
// share the work.

import type { FetchOptions } from '../checkpoint/hub/fetch-model.js';
import {
  type DeviceNames,
  deviceNames,
  type OpenDevices,
  openDevices,
  type Precision,
} from '../device/index.js';
import {
  checkOptions,
  defined,
  isFunction,
  isNames,
  isOneOf,
  isSignal,
  isString,
  isThreadCount,
} from '../option-checks.js';

export interface JobOptions<Event> extends FetchOptions {
  /** A name of `listDevices`, 'cuda' for every GPU, or a list of names, which share the work. Default 'cpu'. */
  readonly device?: DeviceNames;
  /** Compute threads of a CPU device; default one per processor. */
  readonly threads?: number;
  /** How matrix products are formed; default 'float32'. */
  readonly precision?: Precision;
  /** Called as work goes on; never after the promise has settled. */
  readonly onProgress?: (event: Event) => void;
}

export const jobDefaults = { device: 'cpu', precision: 'float32' } as const;

const jobChecks = {
  device: isNames,
  threads: isThreadCount,
  precision: isOneOf('float32', 'bfloat16'),
  token: isString,
  signal: isSignal,
  onProgress: isFunction,
};

/** Errors: ERR_ARGUMENT for an unknown option, a missing one, or a value out of range. */
export function checkJobOptions(
  options: JobOptions<never>,
  checks: Parameters<typeof checkOptions>[1],
  required: readonly string[],
): void {
  checkOptions(options, { ...checks, ...jobChecks }, required);
  deviceNames(options.device ?? jobDefaults.device);
}

/** The caller disposes them. Error: ERR_UNSUPPORTED for one that is not there. */
export function openJobDevices(options: JobOptions<never>): OpenDevices {
  const { device, precision, threads, signal } = { ...jobDefaults, ...defined(options) };
  return openDevices(device, { precision, threads, signal });
}
