export {
  type GroupInput,
  type GroupParameters,
  type GroupQuantizer,
  gridOptions,
  type QuantizedWeight,
  type Quantizer,
  type QuantizerOptions,
  type Scheme,
} from './quantizer.js';
export { defaultQuantizer, findQuantizer, quantizers } from './registry.js';
export { type SuperBlock, superBlockColumns, superBlocks } from './super-blocks.js';
