// The floor's face: devices, tensors and the words of their options.

export type {
  Activation,
  DeviceInfo,
  DType,
  OperandType,
  Precision,
  Scoring,
  WeightLayout,
} from '../native.js';
export { Device } from './device.js';
export {
  type DeviceNames,
  deviceNames,
  listDevices,
  type OpenDevices,
  openDevices,
} from './open-devices.js';
export type { AttentionOptions, ExpertGroups, TwinOptions } from './operation-options.js';
export type {
  DescendOptions,
  GridOptions,
  SuperSteps,
  SweepOptions,
} from './quantization-operations.js';
export { Tensor, takeFloat64 } from './tensor.js';
