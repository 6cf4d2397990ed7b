// GPTQ (Frantar et al., arXiv 2210.17323): columns are quantized one after the other, and what each loses is made
// good by those that follow, as H⁻¹ of the inputs' moment says. With H = R Rᵀ (R upper triangular) the factor that
// the sweep needs is U = R⁻¹. Act-order sorts columns by decreasing diagonal of H.

import type { Device, GridOptions, Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import {
  type GroupInput,
  type GroupQuantizer,
  gridOptions,
  type QuantizedWeight,
  type Quantizer,
} from './quantizer.js';

/** Beyond a tenfold mean diagonal nothing of the moment is left that would tell columns apart. */
const maxDamping = 10;

/** Columns in sweep order, where they land, and the groups they belong to. */
interface Order {
  /** [in] int32: the column that comes j-th. */
  readonly forward: Tensor;
  /** [in] int32: when column j comes. */
  readonly backward: Tensor;
  /** [in] int32: the group of the j-th column of the sweep, with static groups. */
  readonly sweptGroups: Tensor;
  /** [in] int32: the group of column j, groups being runs of the sweep. */
  readonly groups: Tensor;
}

async function columnOrder(device: Device, moment: Tensor, groupSize: number): Promise<Order> {
  const channels = moment.cols;
  const values = await moment.readFloat32();
  const diagonal = Float32Array.from({ length: channels }, (_, j) => values[j * channels + j] ?? 0);
  const forward = Int32Array.from(diagonal.keys()).sort(
    (a, b) => (diagonal[b] ?? 0) - (diagonal[a] ?? 0) || a - b,
  );
  const backward = new Int32Array(channels);
  forward.forEach((column, position) => {
    backward[column] = position;
  });
  const size = groupSize === 0 ? channels : groupSize;
  const upload = (data: Int32Array) => device.upload('int32', [channels], data);
  return {
    forward: upload(forward),
    backward: upload(backward),
    sweptGroups: upload(forward.map((column) => Math.floor(column / size))),
    groups: upload(backward.map((position) => Math.floor(position / size))),
  };
}

function permuted(device: Device, moment: Tensor, { forward }: Order): Tensor {
  return device.scope(() => device.selectRows(device.selectColumns(moment, forward), forward));
}

function sweepInOrder(
  device: Device,
  weight: Tensor,
  factor: Tensor,
  grid: GridOptions,
  order: Order,
  staticGroups: boolean,
): QuantizedWeight {
  const fixed = staticGroups
    ? { ...device.findScales(weight, grid), groupIndex: order.sweptGroups }
    : undefined;
  const swept = device.gptq(device.selectColumns(weight, order.forward), factor, grid, { fixed });
  return {
    codes: device.selectColumns(swept.codes, order.backward),
    scales: swept.scales,
    zeros: swept.zeros,
    // A handle of its own: the weight outlives the group.
    groupIndex: staticGroups ? undefined : device.reshape(order.groups, order.groups.shape),
  };
}

async function forGroup(input: GroupInput): Promise<GroupQuantizer> {
  const { device, moment, scheme, options } = input;
  if (moment === undefined) {
    throw new BallastError('ERR_ARGUMENT', 'GPTQ needs the second moment of a linear’s inputs.');
  }
  const grid = gridOptions(scheme);
  const order = options.actOrder ? await columnOrder(device, moment, scheme.groupSize) : undefined;
  const { factor, info } = device.scope(() =>
    device.factorize(
      order === undefined ? moment : permuted(device, moment, order),
      options.damping,
      Math.max(maxDamping, options.damping),
    ),
  );
  const quantize = (weight: Tensor): QuantizedWeight =>
    order === undefined
      ? device.gptq(weight, factor, grid)
      : sweepInOrder(device, weight, factor, grid, order, options.staticGroups);
  return {
    quantize: (weight) =>
      device.scope(() => ({ ...quantize(weight), damping: device.reshape(info, info.shape) })),
    [Symbol.dispose]: () => {
      for (const tensor of [factor, info, ...Object.values(order ?? {})]) tensor.dispose();
    },
  };
}

export const gptq: Quantizer = {
  name: 'gptq',
  summary: 'GPTQ: errors made good by the columns that follow (arXiv 2210.17323)',
  needsMoment: true,
  forGroup,
};
