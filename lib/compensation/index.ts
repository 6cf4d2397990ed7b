export {
  type BiasGranularity,
  type BiasInput,
  type BiasSource,
  type Certificate,
  type FittedBias,
  fitBias,
} from './bias.js';
export { type Residual, residualOf } from './residual.js';
export { asymmetricTarget, ownTarget } from './target.js';
