// A quantized weight in host memory, where formats arrange its bits.

import type { Device, Tensor } from '../device/index.js';
import type { QuantizedWeight } from '../quantizers/index.js';

/** value[o, i] = scales[o, g] · (codes[o, i] − zeros[o, g]), g the group of column i. */
export interface HostCodes {
  readonly outChannels: number;
  readonly inChannels: number;
  readonly groups: number;
  /** [out, in]. */
  readonly codes: Uint8Array;
  /** [out, groups]. */
  readonly scales: Float32Array;
  /** [out, groups]. */
  readonly zeros: Float32Array;
  /** [in]; absent where groups are consecutive columns. */
  readonly groupIndex?: Int32Array | undefined;
}

export async function downloadCodes(weight: QuantizedWeight): Promise<HostCodes> {
  return {
    outChannels: weight.codes.rows,
    inChannels: weight.codes.cols,
    groups: weight.scales.cols,
    codes: await weight.codes.readUint8(),
    scales: await weight.scales.readFloat32(),
    zeros: await weight.zeros.readFloat32(),
    groupIndex: await weight.groupIndex?.readInt32(),
  };
}

/** The caller disposes the tensors. */
export function uploadCodes(device: Device, host: HostCodes): QuantizedWeight {
  const { outChannels, inChannels, groups, groupIndex } = host;
  const perGroup = (values: Float32Array): Tensor =>
    device.upload('float32', [outChannels, groups], values);
  return {
    codes: device.upload('uint8', [outChannels, inChannels], host.codes),
    scales: perGroup(host.scales),
    zeros: perGroup(host.zeros),
    groupIndex:
      groupIndex === undefined ? undefined : device.upload('int32', [inChannels], groupIndex),
  };
}

export function groupCount(inChannels: number, groupSize: number): number {
  return groupSize === 0 ? 1 : inChannels / groupSize;
}
