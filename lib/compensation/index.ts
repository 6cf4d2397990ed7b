export {
  type BiasGranularity,
  type BiasSource,
  type Certificate,
  type FittedBias,
  fitBias,
  judged,
  shrunk,
  tellsBias,
} from './bias.js';
export { OutputSums, summedOutputs } from './output-sums.js';
export { asymmetricTarget, minTargetDamping, ownTarget } from './target.js';
