// A checkpoint's tensor on a device: the file is mapped, never read into JavaScript, and cast if asked. Of an FP8 or MXFP4
// weight codes and scales go there, which are fewer bytes, and the device makes the float tensor of them.

import type { Device, DType, Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import type { Checkpoint } from './checkpoint.js';
import type { TensorDtype } from './dtypes.js';
import type { TensorInfo } from './tensor-info.js';

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
  return startUpload(device, checkpoint, name).finish();
}

/** What a file holds of a tensor, on its way to a device; its owner finishes or disposes it. */
export interface Upload extends Disposable {
  /** The tensor in its own type, once. Queued: what is not there is waited for by what comes after it in the queue. */
  finish(): Tensor;
}

/** Queues nothing. Errors: those of `loadTensor`. */
export function startUpload(device: Device, checkpoint: Checkpoint, name: string): Upload {
  const info = checkpoint.tensor(name);
  const { float8, float4, shape, file, offset } = info;
  const dtype = info.dtype as DType;
  if (float8 !== undefined) {
    const codes = device.uploadFile('uint8', shape, file, offset);
    return coded(codes, uploadStored(device, float8.scales), (scales) => {
      using exact = device.cast(scales, 'float32');
      return device.dequantizeFloat8(codes, exact, dtype, float8);
    });
  }
  if (float4 !== undefined) {
    const [inChannels = 0, out = 0] = shape;
    const codes = device.uploadFile('uint8', [out, inChannels / 2], file, offset);
    return coded(codes, uploadStored(device, float4.scales), (scales) => {
      using weight = device.dequantizeFloat4(codes, scales, dtype);
      return device.transpose(weight);
    });
  }
  const stored = uploadStored(device, info);
  return { finish: () => stored, [Symbol.dispose]: () => stored.dispose() };
}

function coded(codes: Tensor, scales: Tensor, decode: (scales: Tensor) => Tensor): Upload {
  const dispose = () => {
    scales.dispose();
    codes.dispose();
  };
  const finish = () => {
    try {
      return decode(scales);
    } finally {
      dispose();
    }
  };
  return { finish, [Symbol.dispose]: dispose };
}

function uploadStored(device: Device, { name, dtype, shape, file, offset }: TensorInfo): Tensor {
  if (isDeviceType(dtype)) return device.uploadFile(dtype, shape, file, offset);
  throw new BallastError(
    'ERR_UNSUPPORTED',
    `Expected one of ${deviceTypes.join(', ')} for tensor '${name}' but ${file} holds ${dtype}; convert it first.`,
  );
}

function isDeviceType(dtype: TensorDtype): dtype is TensorDtype & DType {
  return (deviceTypes as readonly TensorDtype[]).includes(dtype);
}
