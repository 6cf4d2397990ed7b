// The format 'gptq', version 1: codes packed along the input channels of a transposed weight, zero points less one
// along the output channels, float16 scales, and the group of each input channel. Source: AutoGPTQ's QuantLinear and
// the checkpoints that GPTQModel, vLLM and transformers read.
//
// Zero points less one is the format's oldest trouble: a zero point of 0 has no code, and readers that mask disagree
// with readers that do not. So grids start at zero point 1 here, see `roundGrid`.

import type { Device } from '../device/index.js';
import { BallastError } from '../errors.js';
import type { BlockModel } from '../models/index.js';
import type { QuantizedWeight } from '../quantizers/index.js';
import { type PackedAxis, pack, packedShape, transpose, unpack } from './bit-packing.js';
import type { ExportFormat, ExportInput, Grid } from './format.js';
import { bytesOf, decodeFloats, encodeFloats } from './half-precision.js';
import { downloadCodes, groupCount, type HostCodes, uploadCodes } from './host-codes.js';
import type { LinearLayout } from './safetensors-layout.js';
import { openLayoutReader } from './safetensors-reader.js';
import { openLayoutWriter } from './safetensors-writer.js';
import { wholeZeros } from './whole-zeros.js';

const supportedBits: readonly number[] = [2, 3, 4, 8];

/** Words of [out, n] values packed along an axis, as the file has them: transposed. */
async function packTransposed(
  values: Uint8Array,
  shape: readonly [number, number],
  bits: number,
  axis: PackedAxis,
): Promise<Uint8Array> {
  const words = await pack(values, shape, bits, axis);
  return bytesOf(transpose(words, packedShape(shape, bits, axis)));
}

function unpackTransposed(
  bytes: Uint8Array,
  shape: readonly [number, number],
  bits: number,
  axis: PackedAxis,
): Promise<Uint8Array> {
  const [rows, cols] = packedShape(shape, bits, axis);
  return unpack(transpose(new Uint32Array(bytes.buffer), [cols, rows]), shape, bits, axis);
}

const layout: LinearLayout = {
  plan({ spec: { inChannels, outChannels }, grid: { bits, groupSize } }) {
    const groups = groupCount(inChannels, groupSize);
    const [, codeWords] = packedShape([outChannels, inChannels], bits, 1);
    const [zeroWords] = packedShape([outChannels, groups], bits, 0);
    return [
      { name: 'qweight', dtype: 'int32', shape: [codeWords, outChannels] },
      { name: 'qzeros', dtype: 'int32', shape: [groups, zeroWords] },
      { name: 'scales', dtype: 'float16', shape: [groups, outChannels] },
      { name: 'g_idx', dtype: 'int32', shape: [inChannels] },
    ];
  },
  async pack(_, linear, { name, grid }) {
    const { bits, groupSize } = grid;
    const host = await downloadCodes(linear.codes);
    const { outChannels, inChannels, groups, codes, scales } = host;
    const size = groupSize === 0 ? inChannels : groupSize;
    const consecutive = () =>
      Int32Array.from({ length: inChannels }, (_, i) => Math.floor(i / size));
    const lessOne = wholeZeros(host, grid, name).map((zero) => zero - 1);
    const transposedScales = transpose(scales, [outChannels, groups]);
    return {
      qweight: await packTransposed(codes, [outChannels, inChannels], bits, 1),
      qzeros: await packTransposed(lessOne, [outChannels, groups], bits, 0),
      scales: encodeFloats(transposedScales, 'float16'),
      g_idx: bytesOf(host.groupIndex ?? consecutive()),
    };
  },
  async unpack(device, stored, { spec: { inChannels, outChannels }, grid, dtype }) {
    const { bits, groupSize } = grid;
    const groups = groupCount(inChannels, groupSize);
    const zeros = await unpackTransposed(
      await stored.bytes('qzeros'),
      [outChannels, groups],
      bits,
      0,
    );
    const scales = decodeFloats(await stored.bytes('scales'), 'float16');
    const host: HostCodes = {
      outChannels,
      inChannels,
      groups,
      codes: await unpackTransposed(
        await stored.bytes('qweight'),
        [outChannels, inChannels],
        bits,
        1,
      ),
      scales: transpose(scales, [groups, outChannels]),
      zeros: Float32Array.from(zeros, (zero) => zero + 1),
      groupIndex: new Int32Array((await stored.bytes('g_idx')).buffer),
    };
    const codes = uploadCodes(device, host);
    const { scales: s, zeros: z, groupIndex } = codes;
    return { codes, weight: device.dequantize(codes.codes, s, z, dtype, groupIndex) };
  },
  config({ bits, groupSize, symmetric, actOrder, staticGroups }) {
    return {
      quantization_config: {
        quant_method: 'gptq',
        bits,
        group_size: groupSize === 0 ? -1 : groupSize,
        sym: symmetric,
        desc_act: actOrder && !staticGroups,
        static_groups: staticGroups,
        lm_head: false,
        checkpoint_format: 'gptq',
      },
    };
  },
};

function expectGrid({ bits, scaleDtype }: Grid): void {
  if (!supportedBits.includes(bits)) {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected one of ${supportedBits.join(', ')} for bits with format gptq but received ${bits}.`,
    );
  }
  if (scaleDtype !== 'float16') {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected float16 for scaleDtype with format gptq but received ${scaleDtype}.`,
    );
  }
}

/** Words have no room for parts of them: both axes must fill theirs. */
function expectWholeWords({ model, grid: { bits } }: ExportInput): void {
  const shapes = model.shapes ?? [model];
  for (const { name, inChannels, outChannels } of shapes.flatMap(({ linears }) => linears)) {
    const odd = [inChannels, outChannels].find((channels) => (channels * bits) % 32 !== 0);
    if (odd === undefined) continue;
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected channels whose ${bits}-bit codes fill 32-bit words for format gptq but ${name} has ${odd}; ` +
        'use format compressed-tensors.',
    );
  }
}

/** Clients take every linear of the model for quantized. */
function expectModel({ modelType, otherParts = [] }: BlockModel): void {
  const [part] = otherParts;
  if (part === undefined) return;
  throw new BallastError(
    'ERR_UNSUPPORTED',
    `Expected a model whose linears are all quantized for format gptq but ${modelType} has a ${part}, which stays as it ` +
      'is; use format huggingface or compressed-tensors.',
  );
}

/** A zero point of 0 becomes 1, and the codes of its group go up with it; the highest code stays. */
async function roundGrid(
  device: Device,
  weight: QuantizedWeight,
  { bits, symmetric }: Grid,
): Promise<QuantizedWeight> {
  if (symmetric || !(await weight.zeros.readFloat32()).includes(0)) return weight;
  const { codes, zeros, outChannels, inChannels, groups, groupIndex } = await downloadCodes(weight);
  const size = inChannels / groups;
  const highest = 2 ** bits - 1;
  const raised = codes.map((code, at) => {
    const column = at % inChannels;
    const group = groupIndex?.[column] ?? Math.floor(column / size);
    const row = Math.floor(at / inChannels);
    return zeros[row * groups + group] === 0 ? Math.min(code + 1, highest) : code;
  });
  return {
    ...weight,
    codes: device.upload('uint8', [outChannels, inChannels], raised),
    zeros: device.upload(
      'float32',
      [outChannels, groups],
      zeros.map((zero) => Math.max(zero, 1)),
    ),
  };
}

export const gptq: ExportFormat = {
  name: 'gptq',
  summary: 'packed codes as GPTQ checkpoints hold them (version 1), 2, 3, 4 or 8 bits',
  gridDefaults: { scaleDtype: 'float16' },
  expectGrid,
  expectModel,
  roundGrid,
  async open(input) {
    expectWholeWords(input);
    return openLayoutWriter(input, layout);
  },
  read: (input) => openLayoutReader(input, layout),
};
