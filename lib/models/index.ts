export type {
  Architecture,
  BlockContext,
  FoldSlot,
  LanguageModel,
  Linear,
  LinearSpec,
} from './model.js';
export { architectures, readModel } from './registry.js';
export { Weights } from './weights.js';
