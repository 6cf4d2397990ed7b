export type {
  LayerReport,
  PhaseMemory,
  PhaseSeconds,
  QuantizeEvent,
  RunReport,
  Seconds,
} from './events.js';
export type { MemoryPart, MemoryPlan, ObservationPasses } from './memory/memory-plan.js';
export { planMemory } from './memory/plan-memory.js';
export type {
  QuantizeOptions,
  ResolvedOptions,
  SearchOptions,
} from './options/options.js';
export { quantize } from './quantize.js';
export type { HeldOutScore } from './site-search/scorer.js';
export {
  type Candidate,
  type SearchEvent,
  type SearchReport,
  search,
} from './site-search/search.js';
