// The quantizers of one block's activations: what each linear sees of its input, and attention with both operands of
// both products quantized. Linears that read one tensor see one quantized tensor.

import type { AttentionOptions, Device, Tensor } from '../device/index.js';
import { type ActivationQuantizer, type OpenQuantizer, openQuantizer } from './quantizer.js';

export const operands = ['query', 'key', 'probabilities', 'value'] as const;
/** Operands of query · key and of probabilities · value. */
export type Operand = (typeof operands)[number];

/** As data. */
export interface BlockQuantizers {
  /** By the linear's name inside the block; linears that are absent read floats. */
  readonly inputs: Readonly<Record<string, ActivationQuantizer>>;
  /** Absent where attention's products are float. */
  readonly attention?: Readonly<Record<Operand, ActivationQuantizer>>;
}

export class BlockActivations implements Disposable {
  readonly #device: Device;
  readonly #inputs: ReadonlyMap<string, OpenQuantizer>;
  readonly #operands: ReadonlyMap<Operand, OpenQuantizer>;
  readonly #seen = new WeakMap<Tensor, Tensor>();

  constructor(
    device: Device,
    readonly quantizers: BlockQuantizers,
  ) {
    this.#device = device;
    const open = <Name>([name, quantizer]: [Name, ActivationQuantizer]) =>
      [name, openQuantizer(device, quantizer)] as const;
    this.#inputs = new Map(Object.entries(quantizers.inputs).map(open));
    const attention = Object.entries(quantizers.attention ?? {}) as [
      Operand,
      ActivationQuantizer,
    ][];
    this.#operands = new Map(attention.map(open));
  }

  /** What the linear sees of `x`. */
  input(linear: string, x: Tensor): Tensor {
    const quantizer = this.#inputs.get(linear);
    if (quantizer === undefined) return x;
    const before = this.#seen.get(x);
    if (before !== undefined && !before.disposed) return before;
    const seen = quantizer.apply(x);
    this.#seen.set(x, seen);
    return seen;
  }

  /** Attention of quantized operands; undefined where they stay float. */
  get attend() {
    if (this.#operands.size === 0) return undefined;
    return (query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions) =>
      stepwiseAttention(this.#device, query, key, value, options, (operand, x) => {
        const quantizer = this.#operands.get(operand);
        return quantizer === undefined ? x : quantizer.apply(x);
      });
  }

  [Symbol.dispose](): void {
    for (const quantizer of [...this.#inputs.values(), ...this.#operands.values()]) {
      quantizer[Symbol.dispose]();
    }
  }
}

/** Attention product by product, each operand passed through `see` first. */
export function stepwiseAttention(
  device: Device,
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions,
  see: (operand: Operand, x: Tensor) => Tensor,
): Tensor {
  const scores = device.headProduct(see('query', query), see('key', key), 'scores', options);
  const probabilities = see('probabilities', device.softmax(scores, options));
  return device.headProduct(probabilities, see('value', value), 'mix', { ...options, scale: 1 });
}
