// Attention with rotary positions over query, key and value projections, separate or one linear, up to the output
// projection, which is the caller's: architectures differ in what they add there.

import type { Tensor } from '../device/index.js';
import { attend } from './attend.js';
import type { AttentionShape } from './attention-shape.js';
import { splitColumns, splitHeads } from './fused-projection.js';
import type { BlockContext, Linear } from './model.js';
import type { Rotary } from './rotary.js';

/** By its name inside the block. */
export const sinkTensor = 'self_attn.sinks';

interface RotaryAttention {
  readonly shape: AttentionShape;
  readonly scale: number;
  /** Cap of the scores; 0 for none. */
  readonly softcap?: number;
  /** Whether one linear gives query, key and value. */
  readonly fused?: boolean;
  /** Whether query's linear gives, head by head, query and gate; see `GatedDecoder.gatedAttention`. */
  readonly gated?: boolean;
  /** Whether keys are values too, as they are before anything is done to either. */
  readonly keysAsValues?: boolean;
}

interface RotaryAttentionCall {
  /** Undefined where positions are not told. */
  readonly rotary: Rotary | undefined;
  /** Tokens that a query sees; 0 for all. */
  readonly window?: number;
  /** See `GatedDecoder.sinks`. */
  readonly sinks?: Tensor | undefined;
  /** What is done to queries and keys before they turn, and to values. */
  readonly prepare?: (x: Tensor, name: 'q' | 'k' | 'v') => Tensor;
}

/** h [tokens, hiddenSize] → [tokens, heads · headSize]. */
export function rotaryAttention(
  h: Tensor,
  call: Linear,
  context: BlockContext,
  attention: RotaryAttention,
  { rotary, window = 0, sinks, prepare = (x) => x }: RotaryAttentionCall,
): Tensor {
  const { device, operands } = context;
  const {
    shape,
    scale,
    softcap = 0,
    fused = false,
    gated = false,
    keysAsValues = false,
  } = attention;
  const [first, key, value] = fused
    ? projectedAtOnce(h, call, context, shape)
    : projected(h, call, keysAsValues);
  const { headSize } = shape;
  const [query, gate] = gated ? splitHeads(device, first, [headSize, headSize]) : [first];
  const prepared = [prepare(query, 'q'), prepare(key, 'k')] as const;
  const [turnedQuery, turnedKey] = rotary?.rotate(...prepared, context) ?? prepared;
  const { heads, keyValueHeads } = shape;
  const unrounded = { ...context, operands: undefined };
  const mixed = attend(
    gate === undefined ? context : unrounded,
    turnedQuery,
    turnedKey,
    prepare(value, 'v'),
    {
      sequence: context.sequence,
      heads,
      keyValueHeads,
      scale,
      softcap,
      window,
      sinks,
    },
  );
  if (gate === undefined) return mixed;
  return device.multiply(mixed, device.activate('sigmoid', gate), operands);
}

type Projected = readonly [query: Tensor, key: Tensor, value: Tensor];

function projected(h: Tensor, call: Linear, keysAsValues: boolean): Projected {
  const query = call('self_attn.q_proj', h);
  const key = call('self_attn.k_proj', h);
  return [query, key, keysAsValues ? key : call('self_attn.v_proj', h)];
}

function projectedAtOnce(
  h: Tensor,
  call: Linear,
  { device }: BlockContext,
  { heads, keyValueHeads, headSize }: AttentionShape,
): Projected {
  const shared = keyValueHeads * headSize;
  return splitColumns(device, call('self_attn.qkv_proj', h), [heads * headSize, shared, shared]);
}

/** The linears that `rotaryAttention` calls, without their biases. */
export function projections(
  { hiddenSize, heads, keyValueHeads, headSize }: AttentionShape,
  { fused = false, gated = false, keysAsValues = false } = {},
) {
  const projection = (name: string, count: number) => ({
    name: `self_attn.${name}`,
    inChannels: hiddenSize,
    outChannels: count * headSize,
  });
  if (fused) return [projection('qkv_proj', heads + 2 * keyValueHeads)];
  return [
    projection('q_proj', gated ? 2 * heads : heads),
    projection('k_proj', keyValueHeads),
    ...(keysAsValues ? [] : [projection('v_proj', keyValueHeads)]),
  ];
}
