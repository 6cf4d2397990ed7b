// Round to nearest: each group's range is divided evenly. With clipping, the range is the one with the least error,
// each channel weighed by its moment (the diagonal of what the layer's error is measured in). With `refit` 'scales',
// every scale found so then moves to where the layer's own error is least, the codes staying what they are. Scales that
// a search has found before take the place of the range.

import type { Device, Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import { diagonal } from './diagonal.js';
import {
  coarseGridOptions,
  type GroupInput,
  type GroupParameters,
  type GroupQuantizer,
  gridOptions,
  type QuantizedWeight,
  type Quantizer,
} from './quantizer.js';
import { onSteps, refitOnSteps } from './super-blocks.js';

async function forGroup(input: GroupInput): Promise<GroupQuantizer> {
  const { device, moment, scheme, options } = input;
  const refits = options.refit === 'scales';
  if (refits && moment === undefined) {
    throw new BallastError(
      'ERR_ARGUMENT',
      "Expected the second moment of a linear's inputs for refit 'scales'.",
    );
  }
  // A refit ends a search for the best scale, so one begins with a search too.
  const searched = refits || scheme.clip === 'mse';
  const grid = refits ? coarseGridOptions({ ...scheme, clip: 'mse' }) : gridOptions(scheme);
  const weights = searched && moment !== undefined ? diagonal(device, moment) : undefined;
  const quantize = (weight: Tensor, found?: GroupParameters): QuantizedWeight => {
    const start =
      found === undefined
        ? onSteps(device, weight, device.findScales(weight, grid, weights), scheme)
        : ownHandles(device, found);
    const { scales, zeros } = start;
    const codes = device.quantize(weight, scales, zeros, scheme.bits);
    if (!refits || moment === undefined) return { codes, scales, zeros };
    if (scheme.superBlocks) {
      return refitOnSteps({ ...input, moment }, weight, { codes, ...start }, 0);
    }
    const fitted = { scaleDtype: scheme.scaleDtype, damping: 0 };
    return {
      codes,
      scales: device.refitScales(weight, moment, { codes, scales, zeros }, fitted),
      zeros,
    };
  };
  return {
    quantize: (weight, found) => device.scope(() => quantize(weight, found)),
    [Symbol.dispose]: () => weights?.dispose(),
  };
}

function ownHandles(device: Device, { scales, zeros }: GroupParameters): GroupParameters {
  return {
    scales: device.reshape(scales, scales.shape),
    zeros: device.reshape(zeros, zeros.shape),
  };
}

export const rtn: Quantizer = {
  name: 'rtn',
  summary: 'round to nearest',
  needsMoment: false,
  takesParameters: true,
  takesRefit: true,
  forGroup,
};
