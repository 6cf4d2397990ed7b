// What happens to activations, as nodes: activation functions, and quantizers as QuantizeLinear and DequantizeLinear
// around 8-bit integers. Fewer bits are a Clip before them: what is clipped to the grid's ends rounds to its codes. A
// twin quantizer is two of these and a choice, which is exact but leaves the product that reads it to floats.

import type { ActivationQuantizer } from '../../activations/index.js';
import type { Activation } from '../../device/index.js';
import { BallastError } from '../../errors.js';
import type { Graph } from './graph.js';
import { dynamicRange } from './limits.js';

/** Codes 0 … last, value = scale · (code − zero). */
interface Codes {
  readonly scale: number;
  readonly zero: number;
  readonly last: number;
}

const highest = 255;

/** Errors: ERR_ARGUMENT for a range that is found anew for every input, ERR_CHECKPOINT for one that no run finds. */
export function quantize(
  graph: Graph,
  scope: string,
  x: string,
  quantizer: ActivationQuantizer,
): string {
  switch (quantizer.kind) {
    case 'dynamic':
      throw dynamicRange();
    case 'uniform': {
      const { scale, zero, bits } = quantizer;
      return throughCodes(graph, scope, x, { scale, zero, last: 2 ** bits - 1 });
    }
    case 'twin': {
      const { threshold, lowScale, lowMin, lowMax, highScale, highMax } = quantizer;
      const below = { scale: lowScale, zero: -lowMin, last: lowMax - lowMin };
      const above = { scale: highScale, zero: 0, last: highMax };
      const limit = graph.constant(`${scope}/threshold`, 'float32', threshold);
      const low = throughCodes(graph, `${scope}/low`, x, below);
      const high = throughCodes(graph, `${scope}/high`, x, above);
      return graph.node(scope, 'Where', [graph.node(scope, 'Less', [x, limit]), low, high]);
    }
  }
}

function throughCodes(graph: Graph, scope: string, x: string, codes: Codes): string {
  const { scale, zero, last } = codes;
  if (![zero, last].every((code) => Number.isInteger(code) && code >= 0 && code <= highest)) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected codes from 0 to ${highest} and a zero point among them for ${scope} but received codes to ${last} with ` +
        `zero point ${zero}; ballast-activations.json was changed: quantize the model again.`,
    );
  }
  const parameters = [
    graph.constant(`${scope}/scale`, 'float32', scale),
    graph.constant(`${scope}/zero_point`, 'uint8', zero),
  ];
  let within = x;
  if (last < highest) {
    const low = graph.constant(`${scope}/low`, 'float32', scale * (0 - zero));
    const high = graph.constant(`${scope}/high`, 'float32', scale * (last - zero));
    within = graph.node(scope, 'Clip', [x, low, high]);
  }
  const quantized = graph.node(scope, 'QuantizeLinear', [within, ...parameters]);
  return graph.node(scope, 'DequantizeLinear', [quantized, ...parameters]);
}

export function activate(graph: Graph, scope: string, kind: Activation, x: string): string {
  const op = (name: string, ...inputs: string[]) => graph.node(scope, name, inputs);
  switch (kind) {
    case 'none':
      return x;
    case 'relu':
      return op('Relu', x);
    case 'tanh':
      return op('Tanh', x);
    case 'sigmoid':
      return op('Sigmoid', x);
    case 'gelu':
      return op('Gelu', x);
    case 'gelu_tanh':
      return graph.node(scope, 'Gelu', [x], { approximate: 'tanh' });
    case 'silu':
      return op('Mul', x, op('Sigmoid', x));
    case 'quick_gelu': {
      const slope = graph.constant(`${scope}/slope`, 'float32', 1.702);
      return op('Mul', x, op('Sigmoid', op('Mul', x, slope)));
    }
  }
}
