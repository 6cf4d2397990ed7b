// The search for one activation quantizer: of the candidates, the one that changes the products reading it least.

import { type ActivationQuantizer, openQuantizer } from '../../activations/index.js';
import type { Device, Tensor } from '../../device/index.js';
import { changeOf, type FloatProduct } from './product-change.js';

/** A product with one operand open, and what it is with float operands. */
interface OpenProduct extends FloatProduct {
  readonly of: (seen: Tensor) => Tensor;
}

interface ActivationSearch {
  readonly device: Device;
  /** At least one. */
  readonly candidates: readonly ActivationQuantizer[];
  readonly input: Tensor;
  /** What reads it. */
  readonly products: readonly OpenProduct[];
  readonly throwIfAborted: () => void;
}

export async function searchActivation(search: ActivationSearch): Promise<ActivationQuantizer> {
  const { device, candidates, input, products, throwIfAborted } = search;
  let best: ActivationQuantizer | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    throwIfAborted();
    using seen = applied(device, candidate, input);
    let change = 0;
    for (const product of products) {
      change += (await changeOf(device, product, () => product.of(seen))).total;
    }
    if (change < least) {
      least = change;
      best = candidate;
    }
  }
  // Products that are not finite compare with nothing.
  return best ?? (candidates.at(-1) as ActivationQuantizer);
}

/** What the quantizer makes of `x`; `x` itself, in a handle of its own, where there is none. */
export function applied(
  device: Device,
  quantizer: ActivationQuantizer | undefined,
  x: Tensor,
): Tensor {
  if (quantizer === undefined) return device.reshape(x, x.shape);
  using open = openQuantizer(device, quantizer);
  return device.scope(() => open.apply(x));
}
