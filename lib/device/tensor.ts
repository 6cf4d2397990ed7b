// A handle on device memory. What an operation returns is a promise in all but type: the handle is there at
// once, its value when the queue has come to it. Disposing drops this handle's share; work already queued
// keeps what it needs.

import { BallastError } from '../errors.js';
import { type DType, type NativeTensor, type NativeTensorHandle, native } from '../native.js';
import type { Device } from './device.js';

export class Tensor implements Disposable {
  readonly device: Device;
  readonly dtype: DType;
  /** Extents, outermost first; row-major and contiguous. */
  readonly shape: readonly number[];
  #handle: NativeTensorHandle | undefined;

  /** @internal */
  constructor(device: Device, tensor: NativeTensor) {
    this.device = device;
    this.dtype = tensor.dtype;
    this.shape = tensor.shape;
    this.#handle = tensor.handle;
  }

  /** @internal */
  get handle(): NativeTensorHandle {
    if (this.#handle === undefined) {
      throw new BallastError('ERR_ARGUMENT', 'The tensor has been disposed.');
    }
    return this.#handle;
  }

  get elements(): number {
    return this.shape.reduce((product, extent) => product * extent, 1);
  }

  /** The product of all extents but the last. */
  get rows(): number {
    return this.shape.slice(0, -1).reduce((product, extent) => product * extent, 1);
  }

  /** The last extent. */
  get cols(): number {
    return this.shape.at(-1) ?? 1;
  }

  get disposed(): boolean {
    return this.#handle === undefined;
  }

  /**
   * The tensor's bytes, once everything queued before has run; `into` itself where it has as many. Rejects with the
   * error that stopped it.
   */
  read(into?: ArrayBuffer): Promise<ArrayBuffer> {
    return this.device.readBytes(this, into);
  }

  /** Like `read`, for tensors of these dtypes as the typed array of their elements. */
  async readFloat32(): Promise<Float32Array> {
    this.#expect('float32');
    return new Float32Array(await this.read());
  }

  async readFloat64(): Promise<Float64Array> {
    this.#expect('float64');
    return new Float64Array(await this.read());
  }

  async readInt32(): Promise<Int32Array> {
    this.#expect('int32');
    return new Int32Array(await this.read());
  }

  async readUint8(): Promise<Uint8Array> {
    this.#expect('uint8');
    return new Uint8Array(await this.read());
  }

  /**
   * The same values on `device`, in a handle of its own. They go from memory to memory between GPUs and between devices of
   * the CPU, else through the host, and nowhere if they lie there already.
   */
  async copyTo(device: Device): Promise<Tensor> {
    if (device === this.device) return device.reshape(this, this.shape);
    return this.device.copyTo(device, this);
  }

  /** Releases this handle; a second call does nothing. */
  dispose(): void {
    if (this.#handle === undefined) return;
    native().release(this.#handle);
    this.#handle = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #expect(dtype: DType): void {
    if (this.dtype !== dtype) {
      throw new BallastError(
        'ERR_TYPE',
        `Expected a ${dtype} tensor to read but received ${this.dtype}.`,
      );
    }
  }
}

/** Reads tensors of float64 with one wait for all, and disposes them. Errors: the device's. */
export async function takeFloat64(tensors: readonly Tensor[]): Promise<Float64Array[]> {
  try {
    return await Promise.all(tensors.map((tensor) => tensor.readFloat64()));
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}
