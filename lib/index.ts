/// <reference lib="esnext.disposable" preserve="true" />
// The public API: everything a caller may rely on, and nothing else.

export { type DeviceInfo, type DeviceNames, listDevices } from './device/index.js';
export { BallastError, type ErrorCode } from './errors.js';
export {
  type DownloadEvent,
  type EvaluateEvent,
  type EvaluateImagesEvent,
  type EvaluateImagesOptions,
  type EvaluateOptions,
  type EvaluationReport,
  evaluate,
  evaluateImages,
  type ImageEvaluationReport,
  type ImageResult,
  type Inspection,
  type InspectOptions,
  inspect,
  type TextResult,
} from './evaluate/index.js';
export {
  type ExportOptions,
  exportResult,
  type ResultEvent,
  type Verification,
  type VerifyOptions,
  verify,
} from './export/index.js';
export {
  type Candidate,
  type HeldOutScore,
  type LayerReport,
  type MemoryPart,
  type MemoryPlan,
  type ObservationPasses,
  type PhaseMemory,
  type PhaseSeconds,
  planMemory,
  type QuantizeEvent,
  type QuantizeOptions,
  quantize,
  type ResolvedOptions,
  type RunReport,
  type SearchEvent,
  type SearchOptions,
  type SearchReport,
  type Seconds,
  search,
} from './pipeline/index.js';
export {
  type ReportedEvaluation,
  type ReportedLayer,
  type ReportInput,
  type ReportOptions,
  renderReport,
} from './report/index.js';
