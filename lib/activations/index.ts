export {
  BlockActivations,
  type BlockQuantizers,
  type Operand,
  operands,
  stepwiseAttention,
} from './block-activations.js';
export {
  type ActivationQuantizer,
  type TwinQuantizer,
  type UniformQuantizer,
  uniformQuantizer,
} from './quantizer.js';
export { type Grid, RangeObserver, type RangeRule } from './range-observer.js';
