// The floor's face: devices, tensors and the words of their options.

import { type DeviceInfo, native } from '../native.js';

export type {
  Activation,
  DeviceInfo,
  DType,
  Precision,
  WeightLayout,
} from '../native.js';
export { type DescendOptions, Device, type GridOptions } from './device.js';
export {
  type DeviceNames,
  deviceNames,
  type OpenDevices,
  openDevices,
} from './open-devices.js';
export type { AttentionOptions, TwinOptions } from './operations.js';
export { Tensor } from './tensor.js';

/** The devices of this machine; those that are not available say why. */
export function listDevices(): DeviceInfo[] {
  return native.listDevices();
}
