// The devices that share a run's work, by their names. The CPU may be named more than once: each time it is a device with
// a queue of its own, and a run over several is the same on any machine. A GPU twice would only halve its memory.

import { BallastError } from '../errors.js';
import { type DeviceInfo, native } from '../native.js';
import { onAbort } from '../on-abort.js';
import { Device, type DeviceOptions } from './device.js';
import { translate } from './operations.js';

/** A name of `listDevices`, 'cuda' for every GPU that is available, or a list of such names. */
export type DeviceNames = string | readonly string[];

/**
 * The devices of this machine; those that are not available say why. Error ERR_UNSUPPORTED for an environment variable
 * that asks for what there is not.
 */
export function listDevices(): DeviceInfo[] {
  try {
    return native().listDevices();
  } catch (error) {
    throw translate(error);
  }
}

/** One name for each device. Error: ERR_ARGUMENT for a GPU that is named twice. */
export function deviceNames(names: DeviceNames): string[] {
  const each = [names].flat().flatMap((name) => (name === 'cuda' ? gpuNames() : [name]));
  const again = each.find((name, i) => name !== 'cpu' && each.indexOf(name) < i);
  if (again === undefined) return each;
  throw new BallastError(
    'ERR_ARGUMENT',
    `Expected each GPU once in device but received ${again} twice; only cpu may be named again.`,
  );
}

/** Without one 'cuda' itself, which opening it refuses with the reason. */
function gpuNames(): string[] {
  const found = listDevices().filter(({ name, available }) => available && name !== 'cpu');
  return found.length === 0 ? ['cuda'] : found.map(({ name }) => name);
}

/** Disposing closes them. */
export interface OpenDevices extends Disposable {
  readonly devices: readonly Device[];
}

interface OpenOptions extends DeviceOptions {
  /** Cancels what is queued on any of them. */
  readonly signal?: AbortSignal | undefined;
}

/** Opens them in that order. Errors: ERR_ARGUMENT, ERR_UNSUPPORTED for one that is not there. */
export function openDevices(
  names: DeviceNames,
  { signal, ...options }: OpenOptions = {},
): OpenDevices {
  const devices: Device[] = [];
  const cancel = () => {
    for (const device of devices) device.cancel();
  };
  const waiting = onAbort(signal, cancel);
  const close = () => {
    waiting[Symbol.dispose]();
    for (const device of devices) device.close();
  };
  try {
    for (const name of deviceNames(names)) devices.push(Device.open(name, options));
  } catch (error) {
    close();
    throw error;
  }
  return { devices, [Symbol.dispose]: close };
}
