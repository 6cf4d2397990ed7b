// An MLP of experts (arXiv 2101.03961, 2401.04088): a router sends each token to a few of many gated MLPs, whose outputs
// are added as they are weighed; some models have one besides, through which all tokens go. Experts are linears as all
// others; the router, a small matrix whose choice decides everything, stays float.

import type { Activation, Device, ExpertGroups, Tensor } from '../device/index.js';
import { gateTimesUp, gateTimesUpOf } from './gated-mlp.js';
import { hold } from './hold.js';
import { type LinearBias, linear, withoutBias } from './linear-bias.js';
import type { BlockContext, Linear, LinearSpec } from './model.js';
import { vectorShapes } from './norms.js';
import { once } from './once.js';
import type { Weights } from './weights.js';

export interface Experts {
  /** Which blocks have them; the MLP of the others is a plain one. */
  readonly sparse: readonly boolean[];
  readonly count: number;
  /** Experts that each token goes to. */
  readonly perToken: number;
  /** Channels inside an expert. */
  readonly size: number;
  readonly activation: Activation;
  /**
   * The router's tensors, by their names inside the block; see `chooseExperts` for what the bias is for. That of logits is
   * added to them.
   */
  readonly router: {
    readonly weight: string;
    readonly bias?: string;
    readonly logitBias?: string;
    /** The weight of an RMS norm before it, whose result is divided by the root of how many channels there are. */
    readonly norm?: { readonly weight: string; readonly eps: number };
    /** Of each expert, what its weights are multiplied by besides. */
    readonly expertScales?: string;
  };
  /** Whether the bias is stored as a row, [1, count]. */
  readonly biasIsRow?: true;
  /** What scores become of logits, and whether those of the chosen are divided by their sum. */
  readonly scoring: 'softmax' | 'sigmoid';
  readonly normalized: boolean;
  /** Where only experts of the best groups are chosen from; see `chooseExperts`. */
  readonly groups?: ExpertGroups | undefined;
  /** What weights of the chosen are multiplied by. */
  readonly scale: number;
  readonly names: ExpertNames;
  /** Norms of what the experts read and give, and of what is shared gives, where both read hidden states apart. */
  readonly norms?: { readonly input: string; readonly output: string; readonly shared: string };
  /** Whether results hold the weights of all experts as one tensor, as the checkpoint does. */
  readonly joined?: true;
  /** Where one linear gives gates and what they multiply. */
  readonly paired?: PairedGates;
  readonly shared?: SharedExpert | undefined;
}

/** Weights of all experts are one tensor [experts, in, out], and biases one [experts, out]. */
export interface PairedGates {
  /** The linear's name in an expert. */
  readonly name: string;
  readonly biases: LinearBias;
  /** Where gates and what they multiply come in turns, for `clampedSwiglu`; otherwise all gates come first. */
  readonly clamped?: { readonly slope: number; readonly limit: number };
}

interface ExpertNames {
  /** Name inside the block of the list of experts. */
  readonly list: string;
  readonly gate: string;
  readonly up: string;
  readonly down: string;
}

/** What all tokens go through besides. */
interface SharedExpert {
  readonly name: string;
  readonly size: number;
  /** A vector of weights whose product with a token, through a sigmoid, weighs what it adds; absent where nothing does. */
  readonly gate?: string;
}

export const usualNames: ExpertNames = {
  list: 'mlp.experts',
  gate: 'gate_proj',
  up: 'up_proj',
  down: 'down_proj',
};

/** An expert's own three linears: names, channels inside, whether a router chooses its tokens. */
interface Expert {
  readonly prefix: string;
  readonly size: number;
  readonly routed?: true;
}

function expertsOf({ count, size, names, shared }: Experts): Expert[] {
  const routed = Array.from({ length: count }, (_, i) => ({
    prefix: `${names.list}.${i}`,
    size,
    routed: true as const,
  }));
  return shared === undefined ? routed : [...routed, { prefix: shared.name, size: shared.size }];
}

/** In order of execution: what reads hidden states, of all experts, then what gives them. */
export function expertLinears(experts: Experts, hiddenSize: number): LinearSpec[] {
  const { names, paired } = experts;
  const all = expertsOf(experts);
  const form = { ...(paired && { layout: 'in_out' as const }) };
  const spec = (
    stage: string,
    { prefix, routed }: Expert,
    part: string,
    sizes: [number, number],
  ) => {
    const own = linear(`${prefix}.${part}`, ...sizes, paired?.biases ?? withoutBias);
    return { ...own, ...form, stage, expert: prefix, ...(routed && { routed }) };
  };
  const into = ({ size }: Expert): [string, number][] =>
    paired === undefined
      ? [names.gate, names.up].map((part) => [part, size])
      : [[paired.name, 2 * size]];
  const first = all.flatMap((expert) =>
    into(expert).map(([part, channels]) =>
      spec('into experts', expert, part, [hiddenSize, channels]),
    ),
  );
  const last = all.map((expert) =>
    spec('out of experts', expert, names.down, [expert.size, hiddenSize]),
  );
  return [...first, ...last];
}

/** The tensors that are no linears: their shapes, by their names inside the block. */
export function expertTensors(
  { count, router, biasIsRow, shared, norms }: Experts,
  hiddenSize: number,
): Record<string, readonly number[]> {
  const { norm, expertScales } = router;
  const normTensors = Object.values(norms ?? {}).map((name) => `${name}.weight`);
  return {
    ...vectorShapes(hiddenSize, ...(norm === undefined ? [] : [norm.weight]), ...normTensors),
    ...(expertScales !== undefined && { [expertScales]: [count] }),
    [router.weight]: [count, hiddenSize],
    ...(router.bias !== undefined && { [router.bias]: biasIsRow ? [1, count] : [count] }),
    ...(router.logitBias !== undefined && { [router.logitBias]: [count] }),
    ...(shared?.gate !== undefined && { [shared.gate]: [1, hiddenSize] }),
  };
}

/** Each [tokens, hiddenSize]; the same tensor where all read the same. */
export interface ExpertInputs {
  readonly router: Tensor;
  readonly routed: Tensor;
  readonly shared: Tensor;
}

/** What the router and all experts read → what the MLP gives, [tokens, hiddenSize] float32. */
export function expertMlp(
  experts: Experts,
  inputs: ExpertInputs,
  weights: Weights,
  call: Linear,
  context: BlockContext,
  /** A norm of that name; as it is where there is none. */
  normed: (x: Tensor, name: string | undefined) => Tensor,
): Tensor {
  const { count, perToken, router, scoring, normalized, groups, scale, names, shared } = experts;
  const { routed: g } = inputs;
  const { paired, norms } = experts;
  const { device, route, operands } = context;
  if (route === undefined) throw new RangeError('A block with experts is run with routes.');
  const logitBias = router.logitBias === undefined ? undefined : weights.get(router.logitBias);
  const read = beforeRouter(inputs.router, experts, weights);
  const logits = device.matmul(read, weights.get(router.weight), { bias: logitBias });
  const { chosen, slots, tokens, starts } = route(() => {
    const stored = router.bias === undefined ? undefined : weights.get(router.bias);
    const bias = stored && device.reshape(stored, [count]);
    return device.chooseExperts(logits, { count: perToken, scoring, bias, groups });
  });
  const own = device.reshape(indices(device, chosen), [g.rows, perToken]);
  const even = device.expertWeights(logits, own, { scoring, normalized, scale });
  const shares = scaledShares(even, own, experts, weights);
  const startOf = (i: number) => starts[i] ?? 0;
  const isRun = ({ prefix }: Expert) => context.experts?.has(prefix) ?? true;
  const all = expertsOf(experts);

  // What reads hidden states comes first in all experts, as those linears are one stage.
  const ran = all.slice(0, count).map(isRun);
  const [begin, end] = [startOf(ran.indexOf(true)), startOf(ran.lastIndexOf(true) + 1)];
  const gathered = once(() => device.selectRows(g, indices(device, tokens.slice(begin, end))));
  const innerOf = ({ prefix }: Expert, i: number) =>
    hold(context, `inner of ${prefix}`, () => {
      const x =
        i < count
          ? device.sliceRows(gathered(), startOf(i) - begin, startOf(i + 1) - begin)
          : inputs.shared;
      if (paired !== undefined) {
        const both = call(`${prefix}.${paired.name}`, x);
        return paired.clamped === undefined
          ? gateTimesUpOf(both, experts.activation, context)
          : device.clampedSwiglu(both, { ...paired.clamped, dtype: operands });
      }
      const own = { gate: `${prefix}.${names.gate}`, up: `${prefix}.${names.up}` };
      return gateTimesUp(call, own, x, experts.activation, context);
    });
  const inner = all.map((expert, i) => (isRun(expert) ? innerOf(expert, i) : undefined));
  const sum = device.zeros('float32', [g.rows, g.cols]);
  const places = indices(device, slots);
  for (let i = 0; i < count; i++) {
    const x = inner[i];
    if (x === undefined) continue;
    const y = call(`${names.list}.${i}.${names.down}`, x);
    device.addExpert(sum, y, device.sliceRows(places, startOf(i), startOf(i + 1)), shares);
  }
  const x = inner[count];
  const routed = normed(sum, norms?.output);
  if (shared === undefined || x === undefined) return routed;
  const y = normed(call(`${shared.name}.${names.down}`, x), norms?.shared);
  return shared.gate === undefined
    ? device.add(routed, y)
    : addGated(routed, y, device.matmul(g, weights.get(shared.gate)));
}

/** What the router multiplies. */
function beforeRouter(x: Tensor, { router: { norm } }: Experts, weights: Weights): Tensor {
  if (norm === undefined) return x;
  const { device, cols } = x;
  return device.scale(device.rmsNorm(x, weights.get(norm.weight), norm.eps), cols ** -0.5);
}

/** shares [tokens, k] of the experts `own`, each times its expert's scale. */
function scaledShares(
  shares: Tensor,
  own: Tensor,
  { count, router: { expertScales } }: Experts,
  weights: Weights,
): Tensor {
  if (expertScales === undefined) return shares;
  const { device, rows, cols } = shares;
  const scales = device.reshape(weights.get(expertScales), [count, 1]);
  const chosen = device.selectRows(scales, device.reshape(own, [rows * cols]));
  return device.multiply(shares, device.reshape(chosen, [rows, cols]));
}

/** sum + σ(logits) y, logits [tokens, 1]: every token's only expert. */
function addGated(sum: Tensor, y: Tensor, logits: Tensor): Tensor {
  const { device, rows } = sum;
  const only = device.upload('int32', [rows, 1], new Int32Array(rows));
  const how = { scoring: 'sigmoid', normalized: false, scale: 1 } as const;
  const slots = indices(
    device,
    Int32Array.from({ length: rows }, (_, token) => token),
  );
  device.addExpert(sum, y, slots, device.expertWeights(logits, only, how));
  return sum;
}

function indices(device: Device, values: Int32Array): Tensor {
  return device.upload('int32', [values.length], values);
}
