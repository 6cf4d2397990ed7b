// The search for the grids of linears that read one tensor: the scales of each weight and the quantizer of what they
// read. Where both are searched they take turns, weights first, each on what the other was found to be (arXiv
// 2111.12293). No turn raises the change that its own metric sees: what was found before is among the candidates.

import type { ActivationQuantizer } from '../../activations/index.js';
import type { Device, Tensor } from '../../device/index.js';
import { disposeAll } from '../../execution/index.js';
import type { GroupParameters } from '../../quantizers/index.js';
import type { ResolvedOptions } from '../options/options.js';
import { applied, searchActivation } from './activation-search.js';
import type { FloatProduct } from './product-change.js';
import { roundedWeight, searchWeight } from './weight-search.js';

interface SearchedLinear {
  readonly name: string;
  readonly weight: Tensor;
  /** Of the loss with respect to its output; absent where no metric asks for it. */
  readonly gradient: Tensor | undefined;
}

interface LinearSearch {
  readonly device: Device;
  readonly options: ResolvedOptions;
  readonly throwIfAborted: () => void;
  readonly input: Tensor;
  readonly linears: readonly SearchedLinear[];
  /** The input's quantizer before anything has been found; undefined where it stays float. */
  readonly start: ActivationQuantizer | undefined;
  /** Empty where the input's quantizer is not searched. */
  readonly candidates: readonly ActivationQuantizer[];
}

interface FoundLinears {
  readonly quantizer: ActivationQuantizer | undefined;
  /** By linear; empty where weights are not searched. The caller disposes them. */
  readonly parameters: Map<string, GroupParameters>;
}

/** As in the paper. */
const rounds = 3;

export async function searchLinears(search: LinearSearch): Promise<FoundLinears> {
  const { device, options, input, linears, candidates, throwIfAborted } = search;
  const { activationRange, weightSearch } = options;
  const float = device.scope(() => linears.map(({ weight }) => device.matmul(input, weight)));
  const parameters = new Map<string, GroupParameters>();
  let rounded: readonly Tensor[] = [];
  let quantizer = search.start;
  const takesTurns = weightSearch !== 'none' && candidates.length > 0;
  try {
    for (let round = 0; round < (takesTurns ? rounds : 1); round++) {
      if (weightSearch !== 'none') {
        await searchWeights(search, quantizer, float, parameters);
        disposeAll(rounded);
        rounded = device.scope(() => linears.map((linear) => onGrid(search, linear, parameters)));
      }
      if (candidates.length === 0) continue;
      const weights = rounded;
      const products = linears.map((linear, i) => ({
        of: (seen: Tensor) => device.matmul(seen, weights[i] ?? linear.weight),
        ...floatProduct(linear, float[i] as Tensor, activationRange),
      }));
      quantizer = await searchActivation({ device, candidates, input, products, throwIfAborted });
    }
    return { quantizer, parameters };
  } catch (error) {
    disposeParameters(parameters);
    throw error;
  } finally {
    disposeAll([...float, ...rounded]);
  }
}

/** Replaces `parameters` by those that suit inputs as `quantizer` leaves them. */
async function searchWeights(
  { device, options, input, linears, throwIfAborted }: LinearSearch,
  quantizer: ActivationQuantizer | undefined,
  float: readonly Tensor[],
  parameters: Map<string, GroupParameters>,
): Promise<void> {
  using seen = applied(device, quantizer, input);
  for (const [i, linear] of linears.entries()) {
    const { name, weight } = linear;
    const product = floatProduct(linear, float[i] as Tensor, options.weightSearch);
    const search = { device, scheme: options, weight, seen, product, throwIfAborted };
    const found = await searchWeight(search);
    disposeAll(Object.values(parameters.get(name) ?? {}));
    parameters.set(name, found);
  }
}

function floatProduct(
  { gradient }: SearchedLinear,
  expected: Tensor,
  metric: string,
): FloatProduct {
  return { expected, gradient: metric === 'hessian' ? gradient : undefined };
}

function onGrid(
  { device, options }: LinearSearch,
  { name, weight }: SearchedLinear,
  parameters: ReadonlyMap<string, GroupParameters>,
): Tensor {
  const own = parameters.get(name);
  if (own === undefined) throw new RangeError(`No scales were found for ${name}.`);
  return roundedWeight(device, weight, own, options.bits);
}

/** And forgets them. */
export function disposeParameters(parameters: Map<string, GroupParameters>): void {
  for (const { scales, zeros } of parameters.values()) disposeAll([scales, zeros]);
  parameters.clear();
}
