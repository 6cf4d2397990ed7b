// What the device makes of tensors, as a file holds it.

import type { Device, Tensor } from '../device/index.js';

/** The bytes of what `make` makes on the device of other tensors. */
export async function bytesOfMade(device: Device, make: () => Tensor): Promise<Uint8Array> {
  using made = device.scope(make);
  return new Uint8Array(await made.read());
}
