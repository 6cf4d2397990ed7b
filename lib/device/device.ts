// A device with its one ordered queue, and every operation on it. An operation checks its operands at once
// (a wrong call throws here), enqueues, and returns the handle of its result. `synchronize` and a tensor's
// `read` are the only waits. Formulas, shapes and dtypes: native/backend/params.h.

import {
  type DType,
  type FakeQuantizeGranularity,
  type NativeDevice,
  native,
  type Precision,
} from '../native.js';
import { Operations, translate } from './operations.js';
import type { Tensor } from './tensor.js';

export interface DeviceOptions {
  /** Compute threads of a CPU device; default BALLAST_THREADS, or one per processor that the process may use. */
  readonly threads?: number | undefined;
  /** How products of matrices are formed; sums are float32 always. Default 'float32'. */
  readonly precision?: Precision;
}

/** How weights become codes; see `Scheme` in native/backend/params.h. */
export interface GridOptions {
  readonly bits: number;
  /** Input channels that share a scale; 0 for the whole row. */
  readonly groupSize: number;
  readonly symmetric: boolean;
  /** Steps of the clipping search; 0 for the full range. */
  readonly clipSteps: number;
  /** The share of the range that the search goes down by. */
  readonly clipRange: number;
  readonly clipExponent: number;
  readonly scaleDtype: 'float32' | 'float16' | 'bfloat16';
}

/** See `DescendParams` in native/backend/params.h. */
export interface DescendOptions {
  readonly bits: number;
  readonly scaleDtype: 'float32' | 'float16' | 'bfloat16';
  /** Passes over all columns at most. */
  readonly rounds: number;
  /** How often a block's codes are gone through in a pass; 0 leaves codes as they are. */
  readonly sweeps: number;
  /** Whether scales move. */
  readonly refit: boolean;
  /** Columns by decreasing moment times weight, groups whole; else in order. */
  readonly greedy: boolean;
  /** Start from unrounded codes, whatever the codes given. */
  readonly unrounded: boolean;
  /** Added to the matrix's diagonal, as a share of its mean. */
  readonly damping: number;
  /** The relative improvement below which a pass is the last. */
  readonly tolerance: number;
}

export class Device extends Operations {
  readonly name: string;

  private constructor(name: string, device: NativeDevice, precision: Precision) {
    super(device, precision);
    this.name = name;
  }

  /** Opens 'cpu' (or another name of `listDevices`) with a queue of its own. */
  static open(name = 'cpu', options: DeviceOptions = {}): Device {
    try {
      const device = native.openDevice(name, options.threads ?? 0);
      return new Device(name, device, options.precision ?? 'float32');
    } catch (error) {
      throw translate(error);
    }
  }

  /** What it is, such as "avx512, 8 threads". */
  get description(): string {
    return native.describeDevice(this.native);
  }

  /** What new tensors could take now: of a GPU what is free, of the host what the system would give this process. */
  get availableBytes(): number {
    try {
      return native.availableBytes(this.native) ?? availableToProcess();
    } catch (error) {
      throw translate(error);
    }
  }

  /** Ends the queue; nothing may be called afterwards. Tensors still hold their memory. */
  close(): void {
    native.closeDevice(this.native);
  }

  /** Resolves when everything queued has run; rejects with the queue's first error. */
  async synchronize(): Promise<void> {
    try {
      await native.synchronize(this.native);
    } catch (error) {
      throw translate(error);
    }
  }

  /** Everything queued and not finished is dropped; the next wait rejects with ERR_ABORTED. */
  cancel(): void {
    native.cancel(this.native);
  }

  /**
   * Runs `body` and disposes every tensor that was made in it, except what it returns (a tensor, or an array
   * or plain object of tensors). Synchronous: operations only enqueue.
   */
  scope<T>(body: () => T): T {
    return this.scopes.run(body);
  }

  /** Takes a tensor out of the scopes it was made in: the caller disposes it. */
  keep(tensor: Tensor): Tensor {
    return this.scopes.keep(tensor);
  }

  /** @internal */
  async readBytes(tensor: Tensor, into: ArrayBuffer | undefined): Promise<ArrayBuffer> {
    try {
      return await native.read(this.native, tensor.handle, into);
    } catch (error) {
      throw translate(error);
    }
  }

  /** @internal */
  async copyTo(target: Device, tensor: Tensor): Promise<Tensor> {
    try {
      return target.wrap(await native.copyTo(this.native, tensor.handle, target.native));
    } catch (error) {
      throw translate(error);
    }
  }

  upload(dtype: DType, shape: readonly number[], data: ArrayBufferView): Tensor {
    return this.make(() => native.upload(this.native, dtype, shape, data));
  }

  /**
   * A tensor of a file's bytes from `offset` on, memory-mapped. They are on their way at once: a GPU copies them beside
   * its queue, which waits for them where they are used; for the CPU the system begins to read them.
   */
  uploadFile(dtype: DType, shape: readonly number[], path: string, offset: number): Tensor {
    return this.make(() => native.uploadFile(this.native, dtype, shape, path, offset));
  }

  zeros(dtype: DType, shape: readonly number[]): Tensor {
    return this.make(() => native.zeros(this.native, dtype, shape));
  }

  reshape(tensor: Tensor, shape: readonly number[]): Tensor {
    return this.make(() => native.reshape(this.native, tensor.handle, shape));
  }

  sliceRows(tensor: Tensor, begin: number, end: number): Tensor {
    return this.make(() => native.sliceRows(this.native, tensor.handle, begin, end));
  }

  /** sum [c] float64 += column sums of x. */
  channelSum(x: Tensor, sum: Tensor): void {
    this.call(() => native.channelSum(this.native, x.handle, sum.handle));
  }

  /** sum += (x − shiftX)ᵀ(y − shiftY); without y symmetric, upper triangle only. */
  secondMoment(
    x: Tensor,
    sum: Tensor,
    options: {
      y?: Tensor | undefined;
      shiftX?: Tensor | undefined;
      shiftY?: Tensor | undefined;
      /** Default: the device's. */
      precision?: Precision;
    } = {},
  ): void {
    const { y, shiftX, shiftY, precision = this.precision } = options;
    this.call(() =>
      native.secondMoment(
        this.native,
        x.handle,
        y?.handle,
        shiftX?.handle,
        shiftY?.handle,
        sum.handle,
        precision,
      ),
    );
  }

  moment(
    sum: Tensor,
    meanX: Tensor,
    meanY: Tensor,
    options: {
      count: number;
      centred: boolean;
      symmetric: boolean;
      shiftX?: Tensor | undefined;
      shiftY?: Tensor | undefined;
    },
  ): Tensor {
    const { shiftX, shiftY, count, centred, symmetric } = options;
    return this.make(() =>
      native.moment(
        this.native,
        sum.handle,
        meanX.handle,
        meanY.handle,
        shiftX?.handle,
        shiftY?.handle,
        { count, centred, symmetric },
      ),
    );
  }

  matvec(weight: Tensor, vector: Tensor): Tensor {
    return this.make(() => native.matvec(this.native, weight.handle, vector.handle));
  }

  /** [out] float64: Δ_o M Δ_oᵀ per row, M symmetric; or Δ_o M other_oᵀ with any M. */
  quadraticForm(delta: Tensor, matrix: Tensor, other?: Tensor): Tensor {
    return this.make(() =>
      native.quadraticForm(this.native, delta.handle, matrix.handle, other?.handle),
    );
  }

  findScales(
    weight: Tensor,
    grid: GridOptions,
    channelWeights?: Tensor,
  ): { scales: Tensor; zeros: Tensor } {
    const made = this.call(() =>
      native.findScales(this.native, weight.handle, channelWeights?.handle, { ...grid }),
    );
    return { scales: this.wrap(made.scales), zeros: this.wrap(made.zeros) };
  }

  quantize(
    weight: Tensor,
    scales: Tensor,
    zeros: Tensor,
    bits: number,
    groupIndex?: Tensor | undefined,
  ): Tensor {
    return this.make(() =>
      native.quantize(
        this.native,
        weight.handle,
        scales.handle,
        zeros.handle,
        groupIndex?.handle,
        bits,
      ),
    );
  }

  dequantize(
    codes: Tensor,
    scales: Tensor,
    zeros: Tensor,
    dtype: DType,
    groupIndex?: Tensor | undefined,
  ): Tensor {
    return this.make(() =>
      native.dequantize(
        this.native,
        codes.handle,
        scales.handle,
        zeros.handle,
        groupIndex?.handle,
        dtype,
      ),
    );
  }

  fakeQuantize(
    x: Tensor,
    options: {
      bits: number;
      granularity: FakeQuantizeGranularity;
      groupSize?: number;
      symmetric?: boolean;
      scales?: Tensor | undefined;
      zeros?: Tensor | undefined;
      channelSum?: Tensor | undefined;
    },
  ): Tensor {
    return this.make(() =>
      native.fakeQuantize(
        this.native,
        x.handle,
        options.scales?.handle,
        options.zeros?.handle,
        options.channelSum?.handle,
        {
          granularity: options.granularity,
          groupSize: options.groupSize ?? 0,
          bits: options.bits,
          symmetric: options.symmetric ?? false,
        },
      ),
    );
  }

  /** R⁻¹ of matrix + λ·mean(diag)·I = R Rᵀ, and [1] float64: the λ that it took. */
  factorize(matrix: Tensor, damping: number, maxDamping: number): { factor: Tensor; info: Tensor } {
    const made = this.call(() => native.factorize(this.native, matrix.handle, damping, maxDamping));
    return { factor: this.wrap(made.factor), info: this.wrap(made.info) };
  }

  gptq(
    weight: Tensor,
    factor: Tensor,
    grid: GridOptions,
    options: {
      channelWeights?: Tensor | undefined;
      fixed?: { scales: Tensor; zeros: Tensor; groupIndex?: Tensor | undefined } | undefined;
    } = {},
  ): { codes: Tensor; scales: Tensor; zeros: Tensor } {
    const { channelWeights, fixed } = options;
    const made = this.call(() =>
      native.gptq(
        this.native,
        weight.handle,
        factor.handle,
        channelWeights?.handle,
        fixed?.scales.handle,
        fixed?.zeros.handle,
        fixed?.groupIndex?.handle,
        { ...grid },
      ),
    );
    return {
      codes: this.wrap(made.codes),
      scales: this.wrap(made.scales),
      zeros: this.wrap(made.zeros),
    };
  }

  /**
   * Codes and scales that lower Σ_o ΔW_o M ΔW_oᵀ, from those of `start`. errors [1 + 2·rounds] float64: that sum
   * at the start, then after the refits and at the end of each round.
   */
  descend(
    weight: Tensor,
    matrix: Tensor,
    start: { codes: Tensor; scales: Tensor; zeros: Tensor },
    options: DescendOptions,
  ): { codes: Tensor; scales: Tensor; errors: Tensor } {
    const made = this.call(() =>
      native.descend(
        this.native,
        weight.handle,
        matrix.handle,
        start.codes.handle,
        start.scales.handle,
        start.zeros.handle,
        { ...options },
      ),
    );
    return {
      codes: this.wrap(made.codes),
      scales: this.wrap(made.scales),
      errors: this.wrap(made.errors),
    };
  }

  /** The scales [out, 1] at which the codes' ΔW M ΔWᵀ is least in every row, M = matrix + damping·mean(diag)·I. */
  refitScales(
    weight: Tensor,
    matrix: Tensor,
    found: { codes: Tensor; scales: Tensor; zeros: Tensor },
    options: { scaleDtype: DType; damping: number },
  ): Tensor {
    return this.make(() =>
      native.refitScales(
        this.native,
        weight.handle,
        matrix.handle,
        found.codes.handle,
        found.scales.handle,
        found.zeros.handle,
        options.scaleDtype,
        options.damping,
      ),
    );
  }
}

function availableToProcess(): number {
  const limit = process.constrainedMemory();
  const left = limit > 0 ? limit - process.memoryUsage.rss() : Number.POSITIVE_INFINITY;
  return Math.max(0, Math.min(process.availableMemory(), left));
}
