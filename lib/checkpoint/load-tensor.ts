// A checkpoint's tensor on a device: the file is mapped, never read into JavaScript, and cast if asked.

import type { Device, DType, Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import type { Checkpoint } from './checkpoint.js';
import type { TensorDtype } from './dtypes.js';

const deviceTypes: readonly DType[] = [
  'float32',
  'float16',
  'bfloat16',
  'float64',
  'int32',
  'int64',
  'uint8',
];

/**
 * Uploads tensor `name` in its own type, or in `dtype`. Queued. Errors: ERR_CHECKPOINT when the checkpoint has no such
 * tensor, ERR_UNSUPPORTED when its type is none the device can compute with.
 */
export function loadTensor(
  device: Device,
  checkpoint: Checkpoint,
  name: string,
  { dtype }: { readonly dtype?: DType } = {},
): Tensor {
  const stored = uploadTensor(device, checkpoint, name);
  return dtype === undefined ? stored : converted(stored, dtype);
}

/** Takes the tensor's place. */
export function converted(stored: Tensor, dtype: DType): Tensor {
  if (stored.dtype === dtype) return stored;
  using replaced = stored;
  return replaced.device.cast(replaced, dtype);
}

/** The same in the tensor's own type. What uses it waits until it is there. */
export function uploadTensor(device: Device, checkpoint: Checkpoint, name: string): Tensor {
  const { dtype: stored, shape, file, offset } = checkpoint.tensor(name);
  if (!isDeviceType(stored)) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected one of ${deviceTypes.join(', ')} for tensor '${name}' but ${file} holds ${stored}; convert it first.`,
    );
  }
  return device.uploadFile(stored, shape, file, offset);
}

function isDeviceType(dtype: TensorDtype): dtype is TensorDtype & DType {
  return (deviceTypes as readonly TensorDtype[]).includes(dtype);
}
