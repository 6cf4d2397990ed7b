export {
  type BiasGranularity,
  type BiasInput,
  type BiasSource,
  type Certificate,
  type FittedBias,
  fitBias,
  judged,
  shrunk,
} from './bias.js';
export { OutputSums, type SummedOutputs, summedOutputs } from './output-sums.js';
export { type Residual, residualOf } from './residual.js';
export { asymmetricTarget, minTargetDamping, ownTarget } from './target.js';
