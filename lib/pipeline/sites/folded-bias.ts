// A fitted bias in the place that a file has for it: added to what is there, and rounded as the file rounds.

import type { Device, DType, Tensor } from '../../device/index.js';
import { BallastError } from '../../errors.js';

/** From here on the nearest float16 is infinite. */
const beyondFloat16 = 65520;

/** c + b [out] float32, rounded to the dtype that the file holds; undefined where there is neither. Error ERR_NUMERIC for one it cannot hold. */
export async function foldedBias(
  device: Device,
  own: Tensor | undefined,
  dtype: DType,
  added: Float64Array | Float32Array | undefined,
): Promise<Tensor | undefined> {
  // A handle of its own: the source's is released with the block.
  if (added === undefined) return own === undefined ? undefined : device.reshape(own, own.shape);
  const values = await own?.readFloat32();
  const sum = Float32Array.from(added, (value, channel) => value + (values?.[channel] ?? 0));
  const beyond = sum.find((value) => !(Math.abs(value) < beyondFloat16));
  if (dtype === 'float16' && beyond !== undefined) {
    throw new BallastError(
      'ERR_NUMERIC',
      `Expected biases within the range of float16, which the file holds them in, but one is ${beyond}; convert the ` +
        "checkpoint to bfloat16 or float32, or quantize with compensation 'none'.",
    );
  }
  return device.scope(() =>
    device.cast(device.cast(device.upload('float32', [sum.length], sum), dtype), 'float32'),
  );
}
