export type {
  Architecture,
  Attend,
  BlockContext,
  BlockGradient,
  BlockModel,
  Config,
  FoldSlot,
  Hold,
  HoldPoint,
  ImageShape,
  LanguageModel,
  Linear,
  LinearSpec,
  VisionModel,
} from './model.js';
export {
  architectures,
  isLanguageModel,
  isVisionModel,
  readBlockModel,
  readModel,
  readVisionModel,
  rewriteModel,
  visionArchitectures,
} from './registry.js';
export { Weights } from './weights.js';
