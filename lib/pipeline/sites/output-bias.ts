// A bias on an output that is no linear's: fitted on the fitted mini-batches, judged on the held-out ones.

import {
  type FittedBias,
  judged,
  OutputSums,
  shrunk,
  summedOutputs,
} from '../../compensation/index.js';
import type { Tensor } from '../../device/index.js';
import { mapBatches, PerDevice } from '../../execution/index.js';
import type { Run } from '../run.js';

/**
 * Samples have `sequence` rows in an output; `outputs` gives the float and the quantized path's output for a mini-batch,
 * `x` on a path; both are released after use.
 */
export async function fitOutputBias(
  { devices, options, heldOutFrom, throwIfAborted }: Run,
  states: readonly Tensor[],
  sequence: number,
  outputs: (x: Tensor, batch: number) => readonly [expected: Tensor, received: Tensor],
): Promise<FittedBias> {
  const positions = options.compensation === 'position' ? sequence : 1;
  const perDevice = () => PerDevice.make(devices, (device) => new OutputSums(device, positions));
  using fitted = perDevice();
  using heldOut = perDevice();
  const places = states.map(({ device }) => device);
  const add = (batch: number, device: (typeof devices)[number]) => {
    const sums = batch < heldOutFrom ? fitted : heldOut;
    sums.of(device).add(...outputs(states[batch] as Tensor, batch));
    return undefined;
  };
  await mapBatches(places, add, throwIfAborted);
  const { fit, outputEnergy, observations } = await summedOutputs(fitted.all);
  const judge = heldOutFrom < states.length ? (await summedOutputs(heldOut.all)).fit : undefined;
  const bias = shrunk(fit.mean, observations, options.shrinkage);
  return judged({ bias, fit, judge, outputEnergy });
}
