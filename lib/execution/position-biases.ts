// Biases per position cannot be folded, so they travel beside the weights in a file of our own:
// `<linear>.position_bias` and `<block>.position_bias`, float32 [sequence, channels].

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { readHeader } from '../checkpoint/safetensors-header.js';
import type { TensorInfo } from '../checkpoint/tensor-info.js';
import type { Device, Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';

export const positionBiasFile = 'ballast-position-biases.safetensors';

export class PositionBiases {
  readonly #tensors: ReadonlyMap<string, TensorInfo>;

  private constructor(tensors: ReadonlyMap<string, TensorInfo>) {
    this.#tensors = tensors;
  }

  /** Those of a model directory; none where the file is absent. */
  static async open(directory: string): Promise<PositionBiases> {
    const path = join(directory, positionBiasFile);
    const present = await access(path).then(
      () => true,
      () => false,
    );
    return new PositionBiases(present ? (await readHeader(path)).tensors : new Map());
  }

  get size(): number {
    return this.#tensors.size;
  }

  /** The bias of a linear's or block's output, for sequences of that length. */
  load(device: Device, site: string, sequence: number): Tensor | undefined {
    const info = this.#tensors.get(`${site}.position_bias`);
    if (info === undefined) return undefined;
    if (info.shape[0] !== sequence) {
      throw new BallastError(
        'ERR_ARGUMENT',
        `Expected sequences of ${info.shape[0]} tokens, which ${info.file} has biases for, but received ${sequence}; ` +
          'position biases hold for the length that they were fitted on.',
      );
    }
    return device.uploadFile('float32', info.shape, info.file, info.offset);
  }
}
