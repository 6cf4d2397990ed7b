// The search for a block's activation quantizers by what they do to the products that read them. Each site's candidates
// are tried on one mini-batch, the other operand as far as it has been found; the best is the one with the least
//   hessian  Σ (∂L/∂O)² (Ô − O)²   (arXiv 2111.12293), or
//   cosine   1 − ⟨Ô, O⟩ / ‖Ô‖‖O‖   (EasyQuant, arXiv 2006.16669),
// O the float product and Ô that of the quantized operands. Weights are float here: they are quantized afterwards, on
// inputs that see these quantizers.

import {
  type ActivationQuantizer,
  type Grid,
  type Operand,
  openQuantizer,
  type Range,
  signedCandidates,
  softmaxCandidates,
  stepwiseAttention,
  uniformCandidates,
} from '../activations/index.js';
import type { AttentionOptions, Device, Tensor } from '../device/index.js';
import { blockRunner } from '../execution/index.js';
import type { Attend, BlockGradient, Linear, Weights } from '../models/index.js';
import { expectGradients } from './loss-gradients.js';
import type { Run } from './run.js';

export interface ActivationSearch {
  readonly run: Run;
  readonly index: number;
  /** A mini-batch on the float path. */
  readonly x: Tensor;
  /** The block's tensors besides linears. */
  readonly weights: Weights;
  readonly float: Linear;
  readonly weightOf: (linear: string) => Tensor;
  readonly grid: Grid;
  /** Observed ranges by linear or operand. */
  readonly rangeOf: (site: string) => Range;
  /** Linears whose input comes right out of an activation function. */
  readonly activated: ReadonlySet<string>;
}

/** A product with one operand open, and the loss's gradient with respect to it. */
interface Product {
  readonly of: (seen: Tensor) => Tensor;
  readonly gradient: Tensor | undefined;
}

/** How often the operands of attention's products are searched in turn. */
const rounds = 2;

/** Quantizers by linear and operand. */
export async function searchActivations(
  search: ActivationSearch,
): Promise<Map<string, ActivationQuantizer>> {
  const { device, options } = search.run;
  const { inputs, attention } = recordBlock(search);
  const held = new Set<Tensor>([...inputs.values(), ...(attention?.tensors.values() ?? [])]);
  held.delete(search.x);
  try {
    const gradient = options.activationRange === 'hessian' ? await gradientOf(search) : undefined;
    for (const tensor of [gradient?.scores, gradient?.mixed, ...(gradient?.linears.values() ?? [])])
      if (tensor !== undefined) held.add(tensor);
    const found = new Map<string, ActivationQuantizer>();
    for (const [input, linears] of linearsByInput(inputs)) {
      const products = linears.map((name) => ({
        of: (seen: Tensor) => device.matmul(seen, search.weightOf(name)),
        gradient: gradient?.linears.get(name),
      }));
      const best = await bestOf(search, candidatesFor(search, linears[0] ?? ''), input, products);
      for (const name of linears) found.set(name, best);
    }
    if (attention !== undefined) await searchAttention(search, attention, gradient, found);
    return found;
  } finally {
    for (const tensor of held) tensor.dispose();
  }
}

interface RecordedAttention {
  readonly tensors: Map<Operand, Tensor>;
  readonly options: AttentionOptions;
}

/** What linears and attention read on the float path; the caller disposes the tensors. */
function recordBlock({ run, x, weights, float, index }: ActivationSearch) {
  const { device, model, context, options } = run;
  const inputs = new Map<string, Tensor>();
  const tensors = new Map<Operand, Tensor>();
  let recorded: RecordedAttention | undefined;
  const attend: Attend = (query, key, value, how) => {
    recorded = { tensors, options: how };
    return stepwiseAttention(device, query, key, value, how, (operand, tensor) => {
      tensors.set(operand, device.keep(tensor));
      return tensor;
    });
  };
  const asked = options.activationSites.includes('attention') ? { ...context, attend } : context;
  device.scope(() => {
    blockRunner(
      model,
      weights,
      asked,
      index,
    )(x, (name, input, how) => {
      inputs.set(name, device.keep(input));
      return float(name, input, how);
    });
    return undefined;
  });
  return { inputs, attention: recorded };
}

async function gradientOf(search: ActivationSearch): Promise<BlockGradient> {
  const { run, index, x, weights, float, weightOf } = search;
  const outer = await run.gradients.take(run, index, x);
  const gradient = run.device.scope(() =>
    expectGradients(run.model).blockGradient(x, weights, float, weightOf, outer, run.context),
  );
  gradient.input.dispose();
  return gradient;
}

function linearsByInput(inputs: ReadonlyMap<string, Tensor>): Map<Tensor, string[]> {
  const groups = new Map<Tensor, string[]>();
  for (const [name, input] of inputs) groups.set(input, [...(groups.get(input) ?? []), name]);
  return groups;
}

function candidatesFor(
  { run, grid, rangeOf, activated }: ActivationSearch,
  site: string,
): readonly ActivationQuantizer[] {
  const range = rangeOf(site);
  if (run.options.activationTwin && site === 'probabilities') return softmaxCandidates(range, grid);
  const twin = run.options.activationTwin && activated.has(site) && range.low < 0;
  return twin ? signedCandidates(range, grid) : uniformCandidates(range, grid);
}

async function searchAttention(
  search: ActivationSearch,
  { tensors, options }: RecordedAttention,
  gradient: BlockGradient | undefined,
  found: Map<string, ActivationQuantizer>,
): Promise<void> {
  const { device } = search.run;
  const of = (operand: Operand) => {
    const tensor = tensors.get(operand);
    if (tensor === undefined) throw new RangeError(`No ${operand} was recorded.`);
    return tensor;
  };
  const products = [
    ['query', 'key', 'scores', options, gradient?.scores],
    ['probabilities', 'value', 'mix', { ...options, scale: 1 }, gradient?.mixed],
  ] as const;
  for (const [left, right, kind, how, weight] of products) {
    for (let round = 0; round < rounds; round++) {
      for (const open of [left, right]) {
        const other = open === left ? right : left;
        const chosen = found.get(other);
        using fixed = chosen === undefined ? undefined : applied(device, chosen, of(other));
        const multiply = (seen: Tensor) => {
          const rest = fixed ?? of(other);
          const [a, b] = open === left ? [seen, rest] : [rest, seen];
          return device.headProduct(a, b, kind, how);
        };
        const product = { of: multiply, gradient: weight };
        found.set(open, await bestOf(search, candidatesFor(search, open), of(open), [product]));
      }
    }
  }
}

function applied(device: Device, quantizer: ActivationQuantizer, x: Tensor): Tensor {
  using open = openQuantizer(device, quantizer);
  return device.scope(() => open.apply(x));
}

/** The candidate for `input` that changes the products least. */
async function bestOf(
  { run }: ActivationSearch,
  candidates: readonly ActivationQuantizer[],
  input: Tensor,
  products: readonly Product[],
): Promise<ActivationQuantizer> {
  const { device } = run;
  const expected = device.scope(() => products.map(({ of }) => of(input)));
  let best: ActivationQuantizer | undefined;
  let least = Number.POSITIVE_INFINITY;
  try {
    for (const candidate of candidates) {
      run.throwIfAborted();
      using seen = applied(device, candidate, input);
      let change = 0;
      for (const [i, { of, gradient }] of products.entries()) {
        const float = expected[i] as Tensor;
        const actual = () => of(seen);
        change += await (gradient === undefined
          ? cosineDistance(device, float, actual)
          : weighedError(device, float, actual, gradient));
      }
      if (change < least) {
        least = change;
        best = candidate;
      }
    }
  } finally {
    for (const tensor of expected) tensor.dispose();
  }
  // Products that are not finite compare with nothing.
  return best ?? (candidates.at(-1) as ActivationQuantizer);
}

async function weighedError(
  device: Device,
  expected: Tensor,
  actual: () => Tensor,
  gradient: Tensor,
): Promise<number> {
  const [sum = 0] = await sums(device, () => {
    const error = device.multiply(device.subtract(actual(), expected), gradient);
    return [device.multiply(error, error)];
  });
  return sum;
}

async function cosineDistance(
  device: Device,
  expected: Tensor,
  actual: () => Tensor,
): Promise<number> {
  const [product = 0, a = 0, b = 0] = await sums(device, () => {
    const values = actual();
    const pairs = [
      [values, expected],
      [values, values],
      [expected, expected],
    ] as const;
    return pairs.map(([left, right]) => device.multiply(left, right));
  });
  return a > 0 && b > 0 ? 1 - product / Math.sqrt(a * b) : 1;
}

/** The sums of all elements of each tensor. */
async function sums(device: Device, body: () => readonly Tensor[]): Promise<number[]> {
  const byChannel = device.scope(() =>
    body().map((tensor) => {
      const sum = device.zeros('float64', [tensor.cols]);
      device.channelSum(tensor, sum);
      return sum;
    }),
  );
  const totals: number[] = [];
  for (const sum of byChannel) {
    totals.push((await sum.readFloat64()).reduce((total, value) => total + value, 0));
    sum.dispose();
  }
  return totals;
}
