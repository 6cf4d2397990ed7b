export type { LayerReport, QuantizeEvent, RunReport, Seconds } from './events.js';
export type {
  CompensationGranularity,
  Propagate,
  QuantizeOptions,
  ResolvedOptions,
  Site,
} from './options.js';
export { quantize } from './quantize.js';
