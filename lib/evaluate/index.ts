export type { DownloadEvent } from '../checkpoint/hub/fetch-model.js';
export { classLogits, meanDivergence } from './divergence.js';
export {
  checkEvaluateImagesOptions,
  type EvaluateImagesEvent,
  type EvaluateImagesOptions,
  evaluateImages,
  type ImageEvaluationReport,
  type ImageResult,
} from './evaluate-images.js';
export {
  checkEvaluateOptions,
  type EvaluateEvent,
  type EvaluateOptions,
  type EvaluationReport,
  evaluate,
  evaluationDefaults,
  type TextResult,
} from './evaluate-model.js';
export { finalStates, runBlocks } from './final-states.js';
export { type Inspection, type InspectOptions, inspect } from './inspect.js';
export { evaluatePerplexity, negativeLogLikelihood } from './perplexity.js';
