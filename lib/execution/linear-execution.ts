// Who executes the linears of a block: plain, quantized with biases folded, or quantized with a bias per
// position, all from the same few tensors.

import { allOrNothing } from '../all-or-nothing.js';
import type { Device, Tensor } from '../device/index.js';
import type { Linear } from '../models/index.js';

/** What executing one linear needs. */
export interface LinearWeights {
  /** [out, in] of a weight dtype. */
  readonly weight: Tensor;
  /** [out] float32. */
  readonly bias?: Tensor | undefined;
  /** [sequence, out] float32, added per position of the sequence. */
  readonly positionBias?: Tensor | undefined;
}

/** The same on `device`, in handles of their own. */
export function copyLinear(
  { weight, bias, positionBias }: LinearWeights,
  device: Device,
): Promise<LinearWeights> {
  return allOrNothing(async (own) => ({
    weight: await own(weight.copyTo(device)),
    bias: await own(bias?.copyTo(device)),
    positionBias: await own(positionBias?.copyTo(device)),
  }));
}

/** y [n, c] + bias [sequence, c], repeated over whole sequences. */
export function addPositionBias(device: Device, y: Tensor, positionBias: Tensor): Tensor {
  const width = positionBias.elements;
  const samples = device.reshape(y, [y.elements / width, width]);
  const sum = device.add(samples, device.reshape(positionBias, [width]));
  return device.reshape(sum, y.shape);
}

/** Executes linears with what `find` gives for a name, on what `see` makes of their inputs. */
export function executor(
  device: Device,
  find: (name: string) => LinearWeights,
  see: (name: string, x: Tensor) => Tensor = (_, x) => x,
): Linear {
  return (name, input, { activation = 'none', residual, dtype } = {}) => {
    const { weight, bias, positionBias } = find(name);
    const x = see(name, input);
    if (positionBias === undefined) {
      return device.matmul(x, weight, { bias, residual, activation, dtype });
    }
    let y = addPositionBias(device, device.matmul(x, weight, { bias }), positionBias);
    if (activation !== 'none') y = device.activate(activation, y);
    if (residual !== undefined) y = device.add(y, residual);
    return dtype === undefined || dtype === y.dtype ? y : device.cast(y, dtype);
  };
}
