// Scales moved to where the layer's error is least, the codes being found: for given codes the output is linear in the
// scales, so the best ones solve a small least-squares problem (design §2.9). Never raises the error.

import type { Tensor } from '../device/index.js';
import type { GroupInput, QuantizedWeight } from './quantizer.js';

/**
 * The scales [out, groups] that fit `found` best.
 *
 * @param weight [out, in], columns as in `moment`; groups are consecutive columns.
 * @param moment [in, in] float32; `damping` times its mean diagonal is added to the diagonal.
 */
export function refittedScales(
  { device, scheme, options }: GroupInput,
  weight: Tensor,
  moment: Tensor,
  { codes, scales, zeros }: QuantizedWeight,
  damping: number,
): Tensor {
  const { scaleDtype } = scheme;
  // One scale to a row is settled at once; groups of a row depend on each other.
  if (scheme.groupSize === 0) {
    return device.refitScales(weight, moment, { codes, scales, zeros }, { scaleDtype, damping });
  }
  const refitted = device.descend(
    weight,
    moment,
    { codes, scales, zeros },
    {
      bits: scheme.bits,
      scaleDtype,
      rounds: options.rounds,
      sweeps: 0,
      refit: true,
      greedy: false,
      unrounded: false,
      damping,
      tolerance: 1e-3,
    },
  );
  return refitted.scales;
}
