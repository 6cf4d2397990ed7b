// Numbers as a file holds them.

import type { Device, Tensor } from '../device/index.js';

/** The bytes of what `make` makes on the device of other tensors. */
export async function bytesOfMade(device: Device, make: () => Tensor): Promise<Uint8Array> {
  using made = device.scope(make);
  return await bytesOfTensor(made);
}

export async function bytesOfTensor(tensor: Tensor): Promise<Uint8Array> {
  return new Uint8Array(await tensor.read());
}

export function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
