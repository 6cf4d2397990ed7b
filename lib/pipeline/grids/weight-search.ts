// The search for one weight's scales by what its quantization does to the product with the inputs that it will read:
// each output channel takes the share of its range that changes the channel's output least (arXiv 2111.12293 and
// arXiv 2006.16669, which search one share for the whole weight). Channels do not depend on each other, so all of them
// try the same share at once. The whole range is the first candidate: a search never ends with more change than that.

import { shares } from '../../activations/index.js';
import type { Device, Tensor } from '../../device/index.js';
import { type GroupParameters, gridOptions, type Scheme } from '../../quantizers/index.js';
import { changeOf, type FloatProduct } from './product-change.js';

interface WeightSearch {
  readonly device: Device;
  readonly scheme: Scheme;
  /** [out, in] of a weight dtype. */
  readonly weight: Tensor;
  /** Its inputs as it will see them, [n, in] of an operand type. */
  readonly seen: Tensor;
  /** x Wᵀ, [n, out], of the inputs before they are quantized. */
  readonly product: FloatProduct;
  readonly throwIfAborted: () => void;
}

/** The caller disposes the parameters. */
export async function searchWeight(search: WeightSearch): Promise<GroupParameters> {
  const { device, scheme, weight, seen, product, throwIfAborted } = search;
  using range = disposable(device.scope(() => device.findScales(weight, gridOptions(scheme))));
  const best = new Float64Array(weight.rows).fill(1);
  const least = new Float64Array(weight.rows).fill(Number.POSITIVE_INFINITY);
  for (const share of [1, ...shares]) {
    throwIfAborted();
    const { channels } = await changeOf(device, product, () => {
      const parameters = cut(search, range, () => share);
      return device.matmul(seen, roundedWeight(device, weight, parameters, scheme.bits));
    });
    for (const [row, change] of channels.entries()) {
      if (!(change < (least[row] ?? 0))) continue;
      least[row] = change;
      best[row] = share;
    }
  }
  return device.scope(() => cut(search, range, (row) => best[row] ?? 1));
}

/** The weight on the grid of `parameters`, in its own dtype. */
export function roundedWeight(
  device: Device,
  weight: Tensor,
  { scales, zeros }: GroupParameters,
  bits: number,
): Tensor {
  const codes = device.quantize(weight, scales, zeros, bits);
  return device.dequantize(codes, scales, zeros, weight.dtype);
}

/** A share of each row's ranges: scales shrink, zero points stay. */
function cut(
  { device, scheme }: WeightSearch,
  { scales, zeros }: GroupParameters,
  shareOf: (row: number) => number,
): GroupParameters {
  const groups = scales.cols;
  const factors = Float32Array.from({ length: scales.elements }, (_, i) =>
    shareOf(Math.floor(i / groups)),
  );
  const shrunk = device.multiply(scales, device.upload('float32', scales.shape, factors));
  const rounded = device.cast(device.cast(shrunk, scheme.scaleDtype), 'float32');
  return { scales: rounded, zeros: device.reshape(zeros, zeros.shape) };
}

function disposable({ scales, zeros }: GroupParameters): GroupParameters & Disposable {
  const dispose = () => {
    scales.dispose();
    zeros.dispose();
  };
  return { scales, zeros, [Symbol.dispose]: dispose };
}
