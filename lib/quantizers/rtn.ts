// Round to nearest: each group's range (clipped if the scheme says so) is divided evenly.

import { type GroupInput, type GroupQuantizer, gridOptions, type Quantizer } from './quantizer.js';

async function forGroup({ device, scheme }: GroupInput): Promise<GroupQuantizer> {
  const grid = gridOptions(scheme);
  return {
    quantize: (weight) =>
      device.scope(() => {
        const { scales, zeros } = device.findScales(weight, grid);
        return { codes: device.quantize(weight, scales, zeros, scheme.bits), scales, zeros };
      }),
    [Symbol.dispose]: () => {},
  };
}

export const rtn: Quantizer = {
  name: 'rtn',
  summary: 'round to nearest',
  needsMoment: false,
  forGroup,
};
