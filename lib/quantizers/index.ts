export type {
  GroupInput,
  GroupQuantizer,
  QuantizedWeight,
  Quantizer,
  QuantizerOptions,
  Scheme,
} from './quantizer.js';
export { defaultQuantizer, findQuantizer, quantizers } from './registry.js';
