// The search for a block's quantizers, of activations and of weights' scales, by what they do to the products that read
// them: see product-change.ts. Each site's candidates are tried on one mini-batch of the float path, the other operand
// as far as it has been found. Weights that are not searched are float here: they are quantized afterwards, on inputs
// that see these quantizers.

import {
  type ActivationQuantizer,
  type Operand,
  stepwiseAttention,
} from '../../activations/index.js';
import type { AttentionOptions, Tensor } from '../../device/index.js';
import { blockRunner, disposeAll } from '../../execution/index.js';
import type { Attend, BlockGradient, Linear, Weights } from '../../models/index.js';
import type { GroupParameters } from '../../quantizers/index.js';
import type { Run } from '../run.js';
import { applied, searchActivation } from './activation-search.js';
import { disposeParameters, searchLinears } from './linear-search.js';
import { expectGradients } from './loss-gradients.js';

export interface BlockSearch {
  readonly run: Run;
  readonly index: number;
  /** A mini-batch on the float path. */
  readonly x: Tensor;
  /** The block's tensors besides linears. */
  readonly weights: Weights;
  readonly float: Linear;
  readonly weightOf: (linear: string) => Tensor;
  /** How a linear's input is quantized before anything has been found; undefined where it stays float. */
  readonly startOf: (linear: string) => ActivationQuantizer | undefined;
  /** What is tried on a linear's input or an operand; empty where nothing is. */
  readonly candidatesOf: (site: string) => readonly ActivationQuantizer[];
  /** Whether any metric weighs errors by the loss's gradient. */
  readonly needsGradient: boolean;
}

/** What a search leaves. */
export interface FoundGrids {
  /** By linear and operand; sites that are not searched are absent. */
  readonly activations: Map<string, ActivationQuantizer>;
  /** By linear; empty where weights are not searched. The caller disposes them. */
  readonly weights: Map<string, GroupParameters>;
}

/** How often the operands of attention's products are searched in turn. */
const rounds = 2;

export async function searchBlock(search: BlockSearch): Promise<FoundGrids> {
  const { run, weightOf, startOf, candidatesOf } = search;
  const { device, options, throwIfAborted } = run;
  const { inputs, attention } = recordBlock(search);
  const held = new Set<Tensor>([...inputs.values(), ...(attention?.tensors.values() ?? [])]);
  held.delete(search.x);
  const found: FoundGrids = { activations: new Map(), weights: new Map() };
  try {
    const gradient = search.needsGradient ? await gradientOf(search) : undefined;
    for (const tensor of [gradient?.scores, gradient?.mixed, ...(gradient?.linears.values() ?? [])])
      if (tensor !== undefined) held.add(tensor);
    for (const [input, names] of linearsByInput(inputs)) {
      const site = names[0] ?? '';
      const { quantizer, parameters } = await searchLinears({
        device,
        options,
        throwIfAborted,
        input,
        linears: names.map((name) => ({
          name,
          weight: weightOf(name),
          gradient: gradient?.linears.get(name),
        })),
        start: startOf(site),
        candidates: candidatesOf(site),
      });
      for (const [name, own] of parameters) found.weights.set(name, own);
      if (quantizer !== undefined) for (const name of names) found.activations.set(name, quantizer);
    }
    if (attention !== undefined) {
      await searchAttention(search, attention, gradient, found.activations);
    }
    return found;
  } catch (error) {
    disposeParameters(found.weights);
    throw error;
  } finally {
    disposeAll([...held]);
  }
}

interface RecordedAttention {
  readonly tensors: Map<Operand, Tensor>;
  readonly options: AttentionOptions;
}

/** What linears and attention read on the float path; the caller disposes the tensors. */
function recordBlock({ run, x, weights, float, index, candidatesOf }: BlockSearch) {
  const { device, model, context } = run;
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
  const searched = candidatesOf('query').length > 0;
  const runBlock = blockRunner(model, weights, searched ? { ...context, attend } : context, index);
  device.scope(() => {
    runBlock(x, (name, input, how) => {
      inputs.set(name, device.keep(input));
      return float(name, input, how);
    });
    return undefined;
  });
  return { inputs, attention: recorded };
}

async function gradientOf(search: BlockSearch): Promise<BlockGradient> {
  const { run, index, x, weights, float, weightOf } = search;
  const outer = await run.gradients.take(run, index, x);
  const gradient = run.device.scope(() =>
    expectGradients(run.model).blockGradient(
      x,
      weights,
      float,
      weightOf,
      outer,
      run.context,
      index,
    ),
  );
  gradient.input.dispose();
  return gradient;
}

function linearsByInput(inputs: ReadonlyMap<string, Tensor>): Map<Tensor, string[]> {
  const groups = new Map<Tensor, string[]>();
  for (const [name, input] of inputs) groups.set(input, [...(groups.get(input) ?? []), name]);
  return groups;
}

async function searchAttention(
  { run, candidatesOf }: BlockSearch,
  { tensors, options }: RecordedAttention,
  gradient: BlockGradient | undefined,
  found: Map<string, ActivationQuantizer>,
): Promise<void> {
  const { device, throwIfAborted } = run;
  const of = (operand: Operand) => {
    const tensor = tensors.get(operand);
    if (tensor === undefined) throw new RangeError(`No ${operand} was recorded.`);
    return tensor;
  };
  const weighed = run.options.activationRange === 'hessian' ? gradient : undefined;
  const products = [
    ['query', 'key', 'scores', options, weighed?.scores],
    ['probabilities', 'value', 'mix', { ...options, scale: 1 }, weighed?.mixed],
  ] as const;
  for (const [left, right, kind, how, weight] of products) {
    using expected = device.headProduct(of(left), of(right), kind, how);
    for (let round = 0; round < rounds; round++) {
      for (const open of [left, right]) {
        const other = open === left ? right : left;
        using rest = applied(device, found.get(other), of(other));
        const multiply = (seen: Tensor) => {
          const [a, b] = open === left ? [seen, rest] : [rest, seen];
          return device.headProduct(a, b, kind, how);
        };
        const quantizer = await searchActivation({
          device,
          candidates: candidatesOf(open),
          input: of(open),
          products: [{ of: multiply, expected, gradient: weight }],
          throwIfAborted,
        });
        found.set(open, quantizer);
      }
    }
  }
}
