export {
  BlockActivations,
  type BlockQuantizers,
  type Operand,
  operands,
  stepwiseAttention,
} from './block-activations.js';
export { shares, signedCandidates, softmaxCandidates, uniformCandidates } from './candidates.js';
export {
  type ActivationQuantizer,
  openQuantizer,
  type Range,
  type TwinQuantizer,
  type UniformQuantizer,
  uniformQuantizer,
} from './quantizer.js';
export { type Grid, RangeObserver, type RangeRule } from './range-observer.js';
