// A linear whose input is quantized, as integers multiply: codes of the weight [in, out] with a scale, and where the grid
// has them a zero point, for each output channel. A symmetric grid has signed codes around 0, any other unsigned ones.
// Up to four bits lie two in a byte and are cast to bytes when the model is loaded, since ONNX Runtime multiplies
// integers of eight bits. It does so for one scale a channel only; groups are blockwise-product.ts's.

import type { Device } from '../../device/index.js';
import type { QuantizedWeight } from '../../quantizers/index.js';
import { packedShape } from '../bit-packing.js';
import { bytesOfMade } from '../bytes.js';
import type { Grid } from '../format.js';
import type { HostCodes } from '../host-codes.js';
import { wholeZeros } from '../whole-zeros.js';
import type { Graph } from './graph.js';
import { codeWidth } from './limits.js';
import type { ModelFile } from './model-file.js';
import { type DataType, dataTypes } from './schema.js';

function storageOf(grid: Grid): { width: 4 | 8; stored: DataType; read: DataType } {
  const { symmetric } = grid;
  const width = codeWidth(grid);
  const read = symmetric ? 'int8' : 'uint8';
  return { width, stored: width === 8 ? read : symmetric ? 'int4' : 'uint4', read };
}

/** Writes the weight and returns what multiplies a value by it. */
export async function writeIntegerProduct(
  graph: Graph,
  name: string,
  { codes, scales, zeros: zeroPoints }: QuantizedWeight,
  grid: Grid,
): Promise<(x: string) => string> {
  const { device, rows: outChannels, cols: inChannels } = codes;
  const { width, stored, read } = storageOf(grid);
  const zeros = wholeZeros(await zeroPoints.readFloat32(), grid, name);
  const turned = await bytesOfMade(device, () => device.transpose(codes));
  const middle = grid.symmetric ? 2 ** (grid.bits - 1) : 0;
  const mask = 2 ** width - 1;
  const values = turned.map((code) => (code - middle) & mask);
  const weight = await graph.tensor(
    `${name}.weight`,
    stored,
    [inChannels, outChannels],
    width === 4 ? await packNibbles(device, values) : values,
  );
  const parameters = [await graph.floats(`${name}.weight_scale`, await scales.readFloat32())];
  if (!grid.symmetric) {
    parameters.push(await graph.tensor(`${name}.weight_zero_point`, 'uint8', [outChannels], zeros));
  }
  const wide = width === 8 ? weight : graph.node(name, 'Cast', [weight], { to: dataTypes[read] });
  const floats = graph.node(name, 'DequantizeLinear', [wide, ...parameters], { axis: 1 });
  return (x) => graph.node(name, 'MatMul', [x, floats]);
}

/** The inverse, of the tensors that the file's nodes read. */
export async function readIntegerProduct(
  device: Device,
  file: ModelFile,
  name: string,
  shape: Pick<HostCodes, 'outChannels' | 'inChannels'>,
  grid: Grid,
): Promise<HostCodes> {
  const { outChannels, inChannels } = shape;
  const { width, stored, read } = storageOf(grid);
  const middle = grid.symmetric ? 2 ** (grid.bits - 1) : 0;
  if (width === 8) file.expectAttributes(`${name}.weight`, 'DequantizeLinear', { axis: 1 });
  else file.expectAttributes(`${name}.weight`, 'Cast', { to: dataTypes[read] });
  const bytes = await file.read(`${name}.weight`, stored, [inChannels, outChannels]);
  const values = width === 4 ? await unpackNibbles(device, bytes, inChannels * outChannels) : bytes;
  const mask = 2 ** width - 1;
  const turned = values.map((value) => (value + middle) & mask);
  const scales = await file.floats(`${name}.weight_scale`, [outChannels]);
  const zeros = grid.symmetric
    ? new Float32Array(outChannels).fill(middle)
    : Float32Array.from(await file.read(`${name}.weight_zero_point`, 'uint8', [outChannels]));
  const codes = await bytesOfMade(device, () =>
    device.transpose(device.upload('uint8', [inChannels, outChannels], turned)),
  );
  return { ...shape, groups: 1, codes, scales, zeros };
}

async function packNibbles(device: Device, values: Uint8Array): Promise<Uint8Array> {
  const words = await bytesOfMade(device, () =>
    device.packCodes(device.upload('uint8', [1, values.length], values), 4),
  );
  return words.subarray(0, Math.ceil(values.length / 2));
}

function unpackNibbles(device: Device, bytes: Uint8Array, count: number): Promise<Uint8Array> {
  const padded = new Uint8Array(packedShape([1, count], 4, 1)[1] * 4);
  padded.set(bytes);
  return bytesOfMade(device, () =>
    device.unpackCodes(device.upload('int32', [1, padded.length / 4], padded), 4, count),
  );
}
