// The operations that blocks are made of. Each checks its operands at once (a wrong call throws here), enqueues, and
// returns the handle of its result. Formulas, shapes and dtypes: native/backend/params.h.

import { BallastError, type ErrorCode } from '../errors.js';
import {
  type Activation,
  type AlgebraPrecision,
  type BinaryKind,
  type DType,
  type NativeDevice,
  type NativeTensor,
  native,
  type OperandType,
  type Precision,
  type Scoring,
} from '../native.js';
import type { Device } from './device.js';
import type {
  AttentionOptions,
  ChooseExpertsOptions,
  ClampedSwigluOptions,
  MatmulOptions,
  TwinOptions,
} from './operation-options.js';
import { Scopes } from './scope.js';
import { Tensor } from './tensor.js';

/** The device's error as BallastError. */
export function translate(error: unknown): unknown {
  if (error instanceof Error && 'code' in error && !(error instanceof BallastError)) {
    return new BallastError(error.code as ErrorCode, error.message, { cause: error });
  }
  return error;
}

export abstract class Operations {
  /** How products of matrices are formed. */
  readonly precision: Precision;
  protected readonly native: NativeDevice;
  protected readonly scopes = new Scopes();

  protected constructor(device: NativeDevice, precision: Precision) {
    this.native = device;
    this.precision = precision;
  }

  /** How those of the algebra on moments are: where layers round to bfloat16, of two parts of each number. */
  protected get algebraPrecision(): AlgebraPrecision {
    return this.precision === 'bfloat16' ? 'bfloat16x3' : 'float32';
  }

  cast(tensor: Tensor, dtype: DType): Tensor {
    return this.make(() => native().cast(this.native, tensor.handle, dtype));
  }

  /** [1] float64: how many elements are NaN or infinite. */
  countNonFinite(tensor: Tensor): Tensor {
    return this.make(() => native().countNonFinite(this.native, tensor.handle));
  }

  add(a: Tensor, b: Tensor): Tensor {
    return this.binary('add', a, b);
  }

  subtract(a: Tensor, b: Tensor): Tensor {
    return this.binary('subtract', a, b);
  }

  multiply(a: Tensor, b: Tensor, dtype: OperandType = 'float32'): Tensor {
    return this.binary('multiply', a, b, dtype);
  }

  scale(tensor: Tensor, factor: number): Tensor {
    return this.make(() => native().scale(this.native, tensor.handle, factor));
  }

  activate(kind: Activation, tensor: Tensor): Tensor {
    return this.make(() => native().activate(this.native, kind, tensor.handle));
  }

  softcap(tensor: Tensor, cap: number): Tensor {
    return this.make(() => native().softcap(this.native, tensor.handle, cap));
  }

  /** Columns of `tensor`, or of `tensor` and then, counted on, those of what is `beside` it. */
  selectColumns(tensor: Tensor, index: Tensor, beside?: Tensor): Tensor {
    return this.make(() =>
      native().selectColumns(this.native, tensor.handle, index.handle, beside?.handle),
    );
  }

  selectRows(tensor: Tensor, index: Tensor): Tensor {
    return this.make(() => native().selectRows(this.native, tensor.handle, index.handle));
  }

  transpose(tensor: Tensor): Tensor {
    return this.make(() => native().transpose(this.native, tensor.handle));
  }

  matmul(x: Tensor, weight: Tensor, options: MatmulOptions = {}): Tensor {
    return this.make(() =>
      native().matmul(
        this.native,
        x.handle,
        weight.handle,
        options.bias?.handle,
        options.residual?.handle,
        {
          activation: options.activation ?? 'none',
          layout: options.layout ?? 'out_in',
          precision: this.precision,
          dtype: options.dtype ?? 'float32',
        },
      ),
    );
  }

  attention(query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions): Tensor {
    return this.make(() =>
      native().attention(
        this.native,
        query.handle,
        key.handle,
        value.handle,
        options.alibiSlopes?.handle,
        options.bias?.handle,
        options.sinks?.handle,
        {
          sequence: options.sequence,
          heads: options.heads,
          keyValueHeads: options.keyValueHeads ?? options.heads,
          scale: options.scale,
          softcap: options.softcap ?? 0,
          window: options.window ?? 0,
          causal: options.causal ?? true,
          precision: this.precision,
          dtype: options.dtype ?? 'float32',
        },
      ),
    );
  }

  layerNorm(
    x: Tensor,
    weight: Tensor | undefined,
    bias: Tensor | undefined,
    eps: number,
    dtype: OperandType = 'float32',
  ): Tensor {
    return this.make(() =>
      native().layerNorm(this.native, x.handle, weight?.handle, bias?.handle, eps, dtype),
    );
  }

  rmsNorm(
    x: Tensor,
    weight: Tensor,
    eps: number,
    weightOffset = 0,
    dtype: OperandType = 'float32',
  ): Tensor {
    return this.make(() =>
      native().rmsNorm(this.native, x.handle, weight.handle, eps, weightOffset, dtype),
    );
  }

  rope(
    x: Tensor,
    cos: Tensor,
    sin: Tensor,
    options: { sequence: number; headSize: number; interleaved?: boolean },
  ): Tensor {
    return this.make(() =>
      native().rope(this.native, x.handle, cos.handle, sin.handle, {
        interleaved: false,
        ...options,
      }),
    );
  }

  embedding(ids: Tensor, table: Tensor): Tensor {
    return this.make(() => native().embedding(this.native, ids.handle, table.handle));
  }

  /** [n] float64: −log p(target) per row. */
  crossEntropy(logits: Tensor, targets: Tensor): Tensor {
    return this.make(() => native().crossEntropy(this.native, logits.handle, targets.handle));
  }

  /**
   * [n, count] int32: the columns of each row with the largest logits, or with `bias` [e] the largest score + bias;
   * largest first, of equal ones the lower column first. With `groups` only columns of the best ones count.
   */
  chooseExperts(logits: Tensor, options: ChooseExpertsOptions): Tensor {
    const { count, scoring, bias, groups } = options;
    const { count: runs = 1, kept = 1, best = 1 } = groups ?? {};
    const grouped = { groups: runs, keptGroups: kept, bestOfGroup: best };
    return this.make(() =>
      native().chooseExperts(this.native, logits.handle, bias?.handle, {
        count,
        scoring,
        ...grouped,
      }),
    );
  }

  /** [n, k] float32: scale times the scores of the chosen columns, `normalized` over their sum. */
  expertWeights(
    logits: Tensor,
    chosen: Tensor,
    options: { scoring: Scoring; normalized: boolean; scale: number },
  ): Tensor {
    return this.make(() =>
      native().expertWeights(this.native, logits.handle, chosen.handle, { ...options }),
    );
  }

  /**
   * [n, c]: (u + 1)·g·σ(slope·g) of gates g and what they multiply, u, side by side in x [n, 2c], g at most `limit` and u
   * within ±limit.
   */
  clampedSwiglu(x: Tensor, options: ClampedSwigluOptions): Tensor {
    const { slope, limit, dtype = 'float32' } = options;
    return this.make(() => native().clampedSwiglu(this.native, x.handle, { slope, limit, dtype }));
  }

  /** sum[t] += weights[t, j]·y[i] in place, for slots[i] = t·k + j: [m] int32, each of another token t. */
  addExpert(sum: Tensor, y: Tensor, slots: Tensor, weights: Tensor): void {
    this.call(() =>
      native().addExpert(this.native, sum.handle, y.handle, slots.handle, weights.handle),
    );
  }

  /** [n, c]: sums over the last tokens of a sequence, each channel with its own weights [c, taps] float32. */
  causalConvolution(
    x: Tensor,
    weight: Tensor,
    options: { sequence: number; activation: Activation },
  ): Tensor {
    return this.make(() =>
      native().causalConvolution(this.native, x.handle, weight.handle, { ...options }),
    );
  }

  /**
   * [n, valueHeads·valueSize]: linear attention over queries, keys and values side by side in `mixed`; `decay` and `write`
   * [n, valueHeads] before their functions, `logRate` and `decayBias` [valueHeads]. All float32; see GatedDeltaRuleParams.
   */
  gatedDeltaRule(
    mixed: Tensor,
    gates: { decay: Tensor; write: Tensor; logRate: Tensor; decayBias: Tensor },
    options: { sequence: number; keyHeads: number; keySize: number },
  ): Tensor {
    const { decay, write, logRate, decayBias } = gates;
    return this.make(() =>
      native().gatedDeltaRule(
        this.native,
        mixed.handle,
        decay.handle,
        write.handle,
        logRate.handle,
        decayBias.handle,
        { ...options },
      ),
    );
  }

  /** The products that attention is made of, head by head; see HeadProductParams. */
  headProduct(
    x: Tensor,
    y: Tensor,
    kind: 'scores' | 'mix' | 'spread',
    { sequence, heads, keyValueHeads = heads, scale }: AttentionOptions,
  ): Tensor {
    const { precision } = this;
    const options = { kind, sequence, heads, keyValueHeads, scale, precision };
    return this.make(() => native().headProduct(this.native, x.handle, y.handle, options));
  }

  /** Scores [batch·heads·sequence, sequence] → probabilities. */
  softmax(scores: Tensor, options: AttentionOptions): Tensor {
    const { heads, softcap = 0, window = 0, causal = true, alibiSlopes, bias, sinks } = options;
    return this.make(() =>
      native().softmax(
        this.native,
        scores.handle,
        alibiSlopes?.handle,
        bias?.handle,
        sinks?.handle,
        { heads, softcap, window, causal },
      ),
    );
  }

  twinQuantize(x: Tensor, options: TwinOptions): Tensor {
    return this.make(() => native().twinQuantize(this.native, x.handle, { ...options }));
  }

  softmaxGradient(probabilities: Tensor, gradient: Tensor): Tensor {
    return this.make(() =>
      native().softmaxGradient(this.native, probabilities.handle, gradient.handle),
    );
  }

  layerNormGradient(x: Tensor, weight: Tensor | undefined, gradient: Tensor, eps: number): Tensor {
    return this.make(() =>
      native().layerNormGradient(this.native, x.handle, weight?.handle, gradient.handle, eps),
    );
  }

  activationGradient(kind: Activation, x: Tensor, gradient: Tensor): Tensor {
    return this.make(() =>
      native().activationGradient(this.native, kind, x.handle, gradient.handle),
    );
  }

  private binary(kind: BinaryKind, a: Tensor, b: Tensor, dtype: OperandType = 'float32'): Tensor {
    return this.make(() => native().binary(this.native, kind, a.handle, b.handle, dtype));
  }

  /** Calls the addon and wraps the tensor that it made. */
  protected make(call: () => NativeTensor): Tensor {
    return this.wrap(this.call(call));
  }

  protected wrap(made: NativeTensor): Tensor {
    return this.scopes.track(new Tensor(this as unknown as Device, made));
  }

  protected call<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw translate(error);
    }
  }
}
