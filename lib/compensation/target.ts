// The asymmetric target (cross moments as in GPTAQ, arXiv 2504.02692): the quantized layer, which sees x̂, shall
// reproduce what the float layer makes of x. Of all weights, E‖W x − V x̂‖² is least for
//   W* = W E[x x̂ᵀ] Ĝ⁻¹ = W + W E[D x̂ᵀ] Ĝ⁻¹,   D = x − x̂,
// and E‖W x − Q x̂‖² = const + tr((W* − Q) Ĝ (W* − Q)ᵀ): quantizing W* under Ĝ is the whole problem, whatever the
// quantizer. With a bias to follow, moments are centred ones. Ĝ is damped, for directions that hardly occur in x̂
// would otherwise be fitted to noise.

import type { Device, Tensor } from '../device/index.js';
import type { GroupStatistics } from '../statistics/index.js';

/** Beyond this share of the mean diagonal the target would hardly differ from W. */
const maxDamping = 10;

/**
 * Share of the mean diagonal that damping should be at least, however little the quantizer does with. It solves for no
 * inverse, the target does: undamped, COMQ at 4 bits lost 0.6 – 1.3 %, where it now loses 0.12 %.
 */
export const minTargetDamping = 0.01;

/** Gives the weight [out, in] float32 that is to be approximated, for each W of a group. */
export type Target = ((weight: Tensor) => Tensor) & Disposable;

/** W itself. */
export function ownTarget(device: Device): Target {
  return target((weight) => device.cast(weight, 'float32'), []);
}

/** W*; W itself where the paths have not parted. Dispose after use. */
export function asymmetricTarget(
  device: Device,
  { quantizerInputs, drift }: GroupStatistics,
  centred: boolean,
  damping: number,
): Target {
  if (drift === undefined) return ownTarget(device);
  const moment = centred ? quantizerInputs.covariance : quantizerInputs.secondMoment;
  const cross = drift.cross(centred);
  // Ĝ⁻¹ = UᵀU, U = R⁻¹.
  const most = Math.max(damping, maxDamping);
  const { factor: inverse, info } = device.factorize(moment, damping, most, true);
  return target(
    (weight) =>
      device.scope(() => {
        const w = device.cast(weight, 'float32');
        const product = device.matmul(w, cross, { layout: 'in_out' });
        const half = device.matmul(product, inverse);
        return device.add(w, device.matmul(half, inverse, { layout: 'in_out' }));
      }),
    [inverse, info],
  );
}

function target(body: (weight: Tensor) => Tensor, held: readonly Tensor[]): Target {
  return Object.assign(body, {
    [Symbol.dispose]: () => {
      for (const tensor of held) tensor.dispose();
    },
  });
}
