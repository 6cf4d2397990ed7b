// The diagonal of a moment: how much each input channel weighs where channels are looked at one by one.

import type { Device, Tensor } from '../device/index.js';

/** [n] float32 of a moment [n, n]. Read on the device: of a wide layer the moment itself is large. */
export function diagonal(device: Device, moment: Tensor): Tensor {
  const n = moment.cols;
  const places = Int32Array.from({ length: n }, (_, j) => j * (n + 1));
  return device.scope(() => {
    const flat = device.reshape(moment, [1, n * n]);
    const values = device.selectColumns(flat, device.upload('int32', [n], places));
    return device.reshape(values, [n]);
  });
}
