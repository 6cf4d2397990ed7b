// A bias on an output that is no linear's: fitted on the fitted mini-batches, judged on the held-out ones.

import { type FittedBias, judged, OutputSums, shrunk } from '../compensation/index.js';
import type { Tensor } from '../device/index.js';
import type { Run } from './run.js';

/** Samples have `sequence` rows in an output; `outputs` gives the float and the quantized path's output for one mini-batch; both are released after use. */
export async function fitOutputBias(
  { device, options, heldOutFrom, throwIfAborted }: Run,
  batches: number,
  sequence: number,
  outputs: (batch: number) => readonly [expected: Tensor, received: Tensor],
): Promise<FittedBias> {
  const positions = options.compensation === 'position' ? sequence : 1;
  using fitted = new OutputSums(device, positions);
  using heldOut = new OutputSums(device, positions);
  for (let batch = 0; batch < batches; batch++) {
    throwIfAborted();
    device.scope(() => (batch < heldOutFrom ? fitted : heldOut).add(...outputs(batch)));
    await device.synchronize();
  }
  const { fit, outputEnergy, observations } = await fitted.finish();
  const judge = heldOutFrom < batches ? (await heldOut.finish()).fit : undefined;
  const bias = shrunk(fit.mean, observations, options.shrinkage);
  return judged({ bias, fit, judge, outputEnergy });
}
