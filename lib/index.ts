// The public API: everything a caller may rely on, and nothing else.

export { type DeviceInfo, listDevices } from './device/index.js';
export { BallastError, type ErrorCode } from './errors.js';
export {
  type DownloadEvent,
  type EvaluateEvent,
  type EvaluateOptions,
  type EvaluationReport,
  evaluate,
  type Inspection,
  type InspectOptions,
  inspect,
  type TextResult,
} from './evaluate/index.js';
export {
  type LayerReport,
  type QuantizeEvent,
  type QuantizeOptions,
  quantize,
  type ResolvedOptions,
  type RunReport,
  type Seconds,
} from './pipeline/index.js';
