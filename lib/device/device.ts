// A device with its one ordered queue: its tensors, their statistics, and by inheritance every operation on them. An
// operation checks its operands at once (a wrong call throws here), enqueues, and returns the handle of its result.
// `synchronize` and a tensor's `read` are the only waits. Formulas, shapes and dtypes: native/backend/params.h.

import {
  type AlgebraPrecision,
  type DType,
  type NativeDevice,
  native,
  type Precision,
} from '../native.js';
import { translate } from './operations.js';
import { QuantizationOperations } from './quantization-operations.js';
import type { Tensor } from './tensor.js';

export interface DeviceOptions {
  /** Compute threads of a CPU device; default BALLAST_THREADS, or one per processor that the process may use. */
  readonly threads?: number | undefined;
  /** How products of matrices are formed; sums are float32 always. Default 'float32'. */
  readonly precision?: Precision;
}

export class Device extends QuantizationOperations {
  readonly name: string;

  private constructor(name: string, device: NativeDevice, precision: Precision) {
    super(device, precision);
    this.name = name;
  }

  /** Opens 'cpu' (or another name of `listDevices`) with a queue of its own. */
  static open(name = 'cpu', options: DeviceOptions = {}): Device {
    try {
      const device = native().openDevice(name, options.threads ?? 0);
      return new Device(name, device, options.precision ?? 'float32');
    } catch (error) {
      throw translate(error);
    }
  }

  /** What it is, such as "avx512, 8 threads". */
  get description(): string {
    return native().describeDevice(this.native);
  }

  /** What new tensors could take now: of a GPU what is free, of the host what the system would give this process. */
  get availableBytes(): number {
    try {
      return native().availableBytes(this.native) ?? availableToProcess();
    } catch (error) {
      throw translate(error);
    }
  }

  /** Ends the queue; nothing may be called afterwards. Tensors still hold their memory. */
  close(): void {
    native().closeDevice(this.native);
  }

  /** Resolves when everything queued has run; rejects with the error that stopped it. */
  async synchronize(): Promise<void> {
    try {
      await native().synchronize(this.native);
    } catch (error) {
      throw translate(error);
    }
  }

  /** Everything queued and not finished is dropped; all who wait for it are rejected with ERR_ABORTED. */
  cancel(): void {
    native().cancel(this.native);
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

  /** Gives a tensor that was kept to the scope at work, which disposes it at its end; where there is none, it goes now. */
  release(tensor: Tensor): void {
    this.scopes.release(tensor);
  }

  /** @internal */
  async readBytes(tensor: Tensor, into: ArrayBuffer | undefined): Promise<ArrayBuffer> {
    try {
      return await native().read(this.native, tensor.handle, into);
    } catch (error) {
      throw translate(error);
    }
  }

  /** @internal */
  async copyTo(target: Device, tensor: Tensor): Promise<Tensor> {
    try {
      return target.wrap(await native().copyTo(this.native, tensor.handle, target.native));
    } catch (error) {
      throw translate(error);
    }
  }

  upload(dtype: DType, shape: readonly number[], data: ArrayBufferView): Tensor {
    return this.make(() => native().upload(this.native, dtype, shape, data));
  }

  /**
   * A tensor of a file's bytes from `offset` on, memory-mapped. They are on their way at once: a GPU copies them beside
   * its queue, which waits for them where they are used; for the CPU the system begins to read them.
   */
  uploadFile(dtype: DType, shape: readonly number[], path: string, offset: number): Tensor {
    return this.make(() => native().uploadFile(this.native, dtype, shape, path, offset));
  }

  zeros(dtype: DType, shape: readonly number[]): Tensor {
    return this.make(() => native().zeros(this.native, dtype, shape));
  }

  reshape(tensor: Tensor, shape: readonly number[]): Tensor {
    return this.make(() => native().reshape(this.native, tensor.handle, shape));
  }

  sliceRows(tensor: Tensor, begin: number, end: number): Tensor {
    return this.make(() => native().sliceRows(this.native, tensor.handle, begin, end));
  }

  /** sum [c] float64 += column sums of x. */
  channelSum(x: Tensor, sum: Tensor): void {
    this.call(() => native().channelSum(this.native, x.handle, sum.handle));
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
      native().secondMoment(
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
      native().moment(
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
    return this.make(() => native().matvec(this.native, weight.handle, vector.handle));
  }

  /** [out] float64: Δ_o M Δ_oᵀ per row, M symmetric; or Δ_o M other_oᵀ with any M. */
  quadraticForm(
    delta: Tensor,
    matrix: Tensor,
    options: {
      other?: Tensor;
      /** Default float32, or `bfloat16x3` on a device of bfloat16. */
      precision?: AlgebraPrecision;
    } = {},
  ): Tensor {
    const { other, precision = this.algebraPrecision } = options;
    return this.make(() =>
      native().quadraticForm(this.native, delta.handle, matrix.handle, other?.handle, precision),
    );
  }
}

function availableToProcess(): number {
  const limit = process.constrainedMemory();
  const left = limit > 0 ? limit - process.memoryUsage.rss() : Number.POSITIVE_INFINITY;
  return Math.max(0, Math.min(process.availableMemory(), left));
}
