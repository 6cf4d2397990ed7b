// A linear of a float input, or of groups: ONNX Runtime's MatMulNBits. Codes of four or eight bits in blocks of 16, 32,
// 64 … input channels, each with a scale and, where it is not the middle, a zero point. A group is one block or several
// equal ones; a whole row that no block divides has an incomplete last one. Source: the contrib operators of ONNX Runtime.

import type { Device } from '../../device/index.js';
import type { QuantizedWeight } from '../../quantizers/index.js';
import { packedShape } from '../bit-packing.js';
import { bytesOfMade } from '../bytes.js';
import type { Grid } from '../format.js';
import { downloadCodes, type HostCodes } from '../host-codes.js';
import { wholeZeros } from '../whole-zeros.js';
import { type Graph, runtimeDomain } from './graph.js';
import { codeWidth, hasZeros, smallestBlock } from './limits.js';
import type { ModelFile } from './model-file.js';

/** The largest that ONNX Runtime has kernels for which read codes as they are. */
const largestBlock = 256;

export const blockwiseOp = 'MatMulNBits';

interface Blocks {
  /** Bits of a stored code. */
  readonly width: 4 | 8;
  /** Input channels. */
  readonly size: number;
  /** In a row. */
  readonly count: number;
  /** In a group. */
  readonly perGroup: number;
}

function blocksOf(inChannels: number, grid: Grid): Blocks {
  const { groupSize } = grid;
  const group = groupSize === 0 ? inChannels : groupSize;
  let size = smallestBlock;
  while (size < largestBlock && group % (2 * size) === 0) size *= 2;
  const count = Math.ceil(inChannels / size);
  const perGroup = groupSize === 0 ? count : groupSize / size;
  return { width: codeWidth(grid), size, count, perGroup };
}

function tensorShapes(outChannels: number, { width, size, count }: Blocks) {
  return {
    weight: [outChannels, count, (size * width) / 8],
    scale: [outChannels, count],
    zeros: [outChannels, Math.ceil((count * width) / 8)],
  };
}

function attributesOf({ inChannels, outChannels }: HostShape, { width, size }: Blocks) {
  return { K: inChannels, N: outChannels, bits: width, block_size: size };
}

type HostShape = Pick<HostCodes, 'outChannels' | 'inChannels'>;

/** Writes the weight and returns what multiplies a value by it. */
export async function writeBlockwiseProduct(
  graph: Graph,
  name: string,
  weight: QuantizedWeight,
  grid: Grid,
): Promise<(x: string) => string> {
  const { device } = weight.codes;
  const host = await downloadCodes(weight);
  const { outChannels, inChannels, codes } = host;
  const blocks = blocksOf(inChannels, grid);
  const { width, size, count, perGroup } = blocks;
  const shapes = tensorShapes(outChannels, blocks);
  const ofBlock = (_: number, i: number) => Math.floor(i / perGroup);
  const groupOf = Uint32Array.from({ length: outChannels * count }, ofBlock);
  const padded = resizedRows(codes, outChannels, inChannels, count * size);
  const words = await bytesOfMade(device, () =>
    device.packCodes(device.upload('uint8', [outChannels * count, size], padded), width),
  );
  const scales = Float32Array.from(groupOf, (group) => host.scales[group] ?? 0);
  const inputs = [
    await graph.tensor(`${name}.weight`, 'uint8', shapes.weight, words),
    await graph.floats(`${name}.weight_scale`, scales, shapes.scale),
  ];
  const whole = wholeZeros(host.zeros, grid, name);
  if (hasZeros(grid)) {
    const zeros = Uint8Array.from(groupOf, (group) => whole[group] ?? 0);
    const packed = width === 8 ? zeros : packPairs(zeros, outChannels, count);
    inputs.push(await graph.tensor(`${name}.weight_zero_point`, 'uint8', shapes.zeros, packed));
  }
  const attributes = attributesOf(host, blocks);
  return (x) => graph.node(name, blockwiseOp, [x, ...inputs], attributes, runtimeDomain);
}

/** The inverse. */
export async function readBlockwiseProduct(
  device: Device,
  file: ModelFile,
  name: string,
  shape: HostShape,
  grid: Grid,
): Promise<HostCodes> {
  const { outChannels, inChannels } = shape;
  const blocks = blocksOf(inChannels, grid);
  const { width, size, count, perGroup } = blocks;
  const shapes = tensorShapes(outChannels, blocks);
  file.expectAttributes(`${name}.weight`, blockwiseOp, attributesOf(shape, blocks));
  const bytes = await file.read(`${name}.weight`, 'uint8', shapes.weight);
  const packed = packedShape([outChannels * count, size], width, 1);
  const padded = await bytesOfMade(device, () =>
    device.unpackCodes(device.upload('int32', packed, bytes), width, size),
  );
  const scales = await file.floats(`${name}.weight_scale`, shapes.scale);
  let zeros = new Uint8Array(outChannels * count).fill(2 ** (width - 1));
  if (hasZeros(grid)) {
    const packed = await file.read(`${name}.weight_zero_point`, 'uint8', shapes.zeros);
    zeros = width === 8 ? packed : unpackPairs(packed, outChannels, count);
  }
  const ofGroups = (values: ArrayLike<number>) => {
    const first = (_: number, group: number) => values[group * perGroup] ?? 0;
    const groups = Float32Array.from({ length: values.length / perGroup }, first);
    for (let block = 0; block < values.length; block++) {
      if (values[block] === groups[Math.floor(block / perGroup)]) continue;
      throw file.damaged(`blocks of one group of ${name} differ in scale or zero point`);
    }
    return groups;
  };
  return {
    ...shape,
    groups: count / perGroup,
    codes: resizedRows(padded, outChannels, count * size, inChannels),
    scales: ofGroups(scales),
    zeros: ofGroups(zeros),
  };
}

/** Rows cut off, or filled up with zeros. */
function resizedRows(values: Uint8Array, rows: number, from: number, to: number): Uint8Array {
  if (from === to) return values;
  const resized = new Uint8Array(rows * to);
  for (let row = 0; row < rows; row++) {
    resized.set(values.subarray(row * from, row * from + Math.min(from, to)), row * to);
  }
  return resized;
}

/** Two values of a row in a byte, the first in its low bits; a row begins a byte. */
function packPairs(values: Uint8Array, rows: number, cols: number): Uint8Array {
  const even = resizedRows(values, rows, cols, cols + (cols % 2));
  return Uint8Array.from(
    { length: even.length / 2 },
    (_, i) => (even[2 * i] ?? 0) | ((even[2 * i + 1] ?? 0) << 4),
  );
}

function unpackPairs(bytes: Uint8Array, rows: number, cols: number): Uint8Array<ArrayBuffer> {
  const even = Uint8Array.from({ length: 2 * bytes.length }, (_, i) =>
    i % 2 === 0 ? (bytes[i >> 1] ?? 0) & 15 : (bytes[i >> 1] ?? 0) >> 4,
  );
  return new Uint8Array(resizedRows(even, rows, cols + (cols % 2), cols));
}
