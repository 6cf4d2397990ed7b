export type {
  LayerReport,
  PhaseMemory,
  PhaseSeconds,
  QuantizeEvent,
  RunReport,
  Seconds,
} from './events.js';
export type { MemoryPart, MemoryPlan } from './memory-plan.js';
export type {
  QuantizeOptions,
  ResolvedOptions,
  SearchOptions,
} from './options.js';
export { planMemory } from './plan-memory.js';
export { quantize } from './quantize.js';
export type { HeldOutScore } from './scorer.js';
export { type Candidate, type SearchEvent, type SearchReport, search } from './search.js';
