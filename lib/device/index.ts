// The floor's face: devices, tensors and the words of their options.

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
  listDevices,
  type OpenDevices,
  openDevices,
} from './open-devices.js';
export type { AttentionOptions, TwinOptions } from './operations.js';
export { Tensor } from './tensor.js';
