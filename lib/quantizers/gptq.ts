// GPTQ (Frantar et al., arXiv 2210.17323): columns are quantized one after the other, and what each loses is made
// good by those that follow, as H of the inputs' moment says. All that the sweep needs is the upper triangular R of
// H = R Rᵀ, not its inverse (arXiv 2507.18553). Act-order sorts columns by decreasing diagonal of H. With `refit`
// 'scales', every scale ends where the layer's own error is least, the codes staying what the sweep made them.

import type { Device, GridOptions, SweepOptions, Tensor } from '../device/index.js';
import { inverseOrder } from '../inverse-order.js';
import { diagonal } from './diagonal.js';
import {
  expectMoment,
  type GroupInput,
  type GroupParameters,
  type GroupQuantizer,
  gridOptions,
  type MomentInput,
  type QuantizedWeight,
  type Quantizer,
} from './quantizer.js';
import { onSteps, refitOnSteps } from './super-blocks.js';

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
  using tensor = device.keep(diagonal(device, moment));
  const values = await tensor.readFloat32();
  const forward = Int32Array.from(values.keys()).sort(
    (a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b,
  );
  const backward = inverseOrder(forward);
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

/** What the linears of a group share. */
interface Sweep {
  readonly device: Device;
  readonly factor: Tensor;
  readonly grid: GridOptions;
  /** [in] float32: how the clipping search weighs columns, in their own order. */
  readonly channelWeights: Tensor | undefined;
  /** Whether the one scale of each row is refitted, with what the sweep itself knows. */
  readonly refitsRows: boolean;
}

function sweptWeight(
  { device, factor, grid, refitsRows }: Sweep,
  weight: Tensor,
  options: SweepOptions,
): QuantizedWeight {
  const swept = device.gptq(weight, factor, grid, options);
  using _errors = swept.errors; // as large as the weight, so not until the scope ends
  const { codes, scales, zeros } = swept;
  if (!refitsRows) return { codes, scales, zeros };
  return { codes, scales: device.refitSwept(factor, swept, grid.scaleDtype), zeros };
}

/** `fixed`: the grid of each column's own place, where that was found before. */
function sweepInOrder(
  sweep: Sweep,
  weight: Tensor,
  order: Order,
  fixed: GroupParameters | undefined,
): QuantizedWeight {
  const { device, channelWeights } = sweep;
  const channels = weight.cols;
  const inOrder = (rows: Tensor) => device.selectColumns(rows, order.forward);
  const swept = sweptWeight(sweep, inOrder(weight), {
    fixed: fixed && { ...fixed, groupIndex: order.sweptGroups },
    channelWeights:
      channelWeights === undefined
        ? undefined
        : device.reshape(inOrder(device.reshape(channelWeights, [1, channels])), [channels]),
  });
  return {
    codes: device.selectColumns(swept.codes, order.backward),
    scales: swept.scales,
    zeros: swept.zeros,
    // A handle of its own: the weight outlives the group.
    groupIndex: fixed ? undefined : device.reshape(order.groups, order.groups.shape),
  };
}

/** Scales of groups that fit the codes best; groups are runs of columns, in the sweep's order or in their own. */
function withRefit(
  input: MomentInput,
  weight: Tensor,
  found: QuantizedWeight,
  order: Order | undefined,
): QuantizedWeight {
  const { device, moment, scheme, options } = input;
  const inRuns = (rows: Tensor) =>
    order === undefined ? rows : device.selectColumns(rows, order.forward);
  const scales = device.refitScales(
    inRuns(weight),
    order === undefined ? moment : permuted(device, moment, order),
    { ...found, codes: inRuns(found.codes) },
    { scaleDtype: scheme.scaleDtype, damping: options.damping },
  );
  return { ...found, scales };
}

export interface GptqSweep extends Disposable {
  /** The grid of a weight's groups where that does not depend on the sweep. */
  findGrid(weight: Tensor): GroupParameters;
  /** On this grid, or on the one that it finds. */
  quantize(weight: Tensor, fixed?: GroupParameters): QuantizedWeight;
}

/** GPTQ on a grid of the caller's, whatever the scheme says of super-blocks. */
export async function prepareGptq(input: GroupInput, grid: GridOptions): Promise<GptqSweep> {
  const fit = expectMoment('GPTQ', input);
  const { device, moment, scheme, options } = fit;
  const refits = options.refit === 'scales';
  const refitsRows = refits && scheme.groupSize === 0;
  const order = options.actOrder ? await columnOrder(device, moment, scheme.groupSize) : undefined;
  const { factor, info } = device.scope(() =>
    device.factorize(
      order === undefined ? moment : permuted(device, moment, order),
      options.damping,
      Math.max(maxDamping, options.damping),
    ),
  );
  const channelWeights = grid.clipSteps > 0 ? diagonal(device, moment) : undefined;
  const sweep: Sweep = { device, factor, grid, channelWeights, refitsRows };
  const findGrid = (weight: Tensor) => device.findScales(weight, grid, channelWeights);
  const isStatic = order !== undefined && options.staticGroups;
  const quantize = (weight: Tensor, given?: GroupParameters): QuantizedWeight => {
    const fixed = given ?? (isStatic ? findGrid(weight) : undefined);
    const found =
      order === undefined
        ? sweptWeight(sweep, weight, { channelWeights, fixed })
        : sweepInOrder(sweep, weight, order, fixed);
    return refits && !refitsRows ? withRefit(fit, weight, found, fixed ? undefined : order) : found;
  };
  return {
    findGrid: (weight) => device.scope(() => findGrid(weight)),
    quantize: (weight, fixed) =>
      device.scope(() => ({
        ...quantize(weight, fixed),
        damping: device.reshape(info, info.shape),
      })),
    [Symbol.dispose]: () => {
      for (const tensor of [factor, info, channelWeights, ...Object.values(order ?? {})]) {
        tensor?.dispose();
      }
    },
  };
}

async function forGroup(input: GroupInput): Promise<GroupQuantizer> {
  const { device, scheme, options } = input;
  const grid = gridOptions(scheme);
  if (!scheme.superBlocks) return prepareGptq(input, grid);
  const fit = expectMoment('GPTQ', input);
  const sweep = await prepareGptq({ ...input, options: { ...options, refit: 'none' } }, grid);
  const quantize = (weight: Tensor): QuantizedWeight => {
    const stepped = onSteps(device, weight, sweep.findGrid(weight), scheme);
    const found = sweep.quantize(weight, stepped);
    if (options.refit === 'none') return found;
    const start = { ...stepped, codes: found.codes };
    return { ...found, ...refitOnSteps(fit, weight, start, options.damping) };
  };
  return {
    quantize: (weight) => device.scope(() => quantize(weight)),
    [Symbol.dispose]: () => sweep[Symbol.dispose](),
  };
}

export const gptq: Quantizer = {
  name: 'gptq',
  summary: 'GPTQ: errors made good by the columns that follow (arXiv 2210.17323)',
  needsMoment: true,
  takesActOrder: true,
  takesRefit: true,
  jointDefaults: { refit: 'scales' },
  forGroup,
};
