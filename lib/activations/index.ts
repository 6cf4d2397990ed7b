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
  uniformQuantizer,
} from './quantizer.js';
export { RangeObserver, type RangeRule } from './range-observer.js';
