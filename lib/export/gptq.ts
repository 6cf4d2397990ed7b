// The format 'gptq', version 1: codes packed along the input channels of a transposed weight, zero points less one
// along the output channels, float16 scales, and the group of each input channel. Source: AutoGPTQ's QuantLinear and
// the checkpoints that GPTQModel, vLLM and transformers read.
//
// Zero points less one is the format's oldest trouble: a zero point of 0 has no code, and readers that mask disagree
// with readers that do not. So grids start at zero point 1 here, see `roundGrid`.

import type { Client } from '../clients.js';
import type { Device } from '../device/index.js';
import { BallastError } from '../errors.js';
import type { BlockModel } from '../models/index.js';
import type { QuantizedWeight } from '../quantizers/index.js';
import { packedShape } from './bit-packing.js';
import { bytesOf, bytesOfMade } from './bytes.js';
import type { ExportFormat, ExportInput, Grid } from './format.js';
import { groupCount } from './host-codes.js';
import type { LinearLayout } from './safetensors-layout.js';
import { openLayoutReader } from './safetensors-reader.js';
import { openLayoutWriter } from './safetensors-writer.js';
import { wholeZeros } from './whole-zeros.js';

const supportedBits: readonly number[] = [2, 3, 4, 8];

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
  async pack(device, { codes: weight }, { name, grid }) {
    const { bits, groupSize } = grid;
    const { codes, scales, zeros, groupIndex } = weight;
    const inChannels = codes.cols;
    const size = groupSize === 0 ? inChannels : groupSize;
    const consecutive = () =>
      Int32Array.from({ length: inChannels }, (_, i) => Math.floor(i / size));
    const lessOne = wholeZeros(await zeros.readFloat32(), grid, name).map((zero) => zero - 1);
    const packedZeros = () =>
      device.packCodes(device.transpose(device.upload('uint8', scales.shape, lessOne)), bits);
    const halves = () => device.cast(device.transpose(scales), 'float16');
    return {
      qweight: await bytesOfMade(device, () => device.transpose(device.packCodes(codes, bits))),
      qzeros: await bytesOfMade(device, packedZeros),
      scales: await bytesOfMade(device, halves),
      g_idx: bytesOf((await groupIndex?.readInt32()) ?? consecutive()),
    };
  },
  async unpack(device, stored, { spec: { inChannels, outChannels }, grid, dtype }) {
    const { bits, groupSize } = grid;
    const shape = [outChannels, groupCount(inChannels, groupSize)];
    const lessOne = await bytesOfMade(device, () =>
      device.transpose(device.unpackCodes(stored.tensor('qzeros'), bits, outChannels)),
    );
    return device.scope(() => {
      const turned = device.transpose(stored.tensor('qweight'));
      const codes = device.unpackCodes(turned, bits, inChannels);
      const scales = device.transpose(device.cast(stored.tensor('scales'), 'float32'));
      const zeros = device.upload(
        'float32',
        shape,
        Float32Array.from(lessOne, (zero) => zero + 1),
      );
      const groupIndex = stored.tensor('g_idx');
      const weight = device.dequantize(codes, scales, zeros, dtype, groupIndex);
      return { codes: { codes, scales, zeros, groupIndex }, weight };
    });
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

function expectGrid(grid: Grid, client?: Client): void {
  const { bits, scaleDtype } = grid;
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
  if (client === 'vllm') expectGridOfVllm(grid);
}

/** Whatever the device: vLLM 0.32 loads no other. */
function expectGridOfVllm({ bits, groupSize, symmetric, actOrder, staticGroups }: Grid): void {
  const refuse = (expected: string, received: unknown) => {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected ${expected} for format gptq with client vllm, which loads no other, but received ${received}; ` +
        'use format compressed-tensors.',
    );
  };
  if (bits !== 4 && bits !== 8) refuse('4 or 8 for bits', bits);
  if (!symmetric) refuse('true for symmetric', symmetric);
  if (actOrder && !staticGroups && groupSize !== 0)
    refuse('staticGroups with actOrder', 'actOrder alone');
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
function expectModel(model: BlockModel): void {
  const { modelType, shapes = [model], otherParts = [] } = model;
  // Routers, and what decays and write strengths are made by.
  const matrices = shapes.flatMap(({ tensorShapes = {} }) =>
    Object.keys(tensorShapes).filter(
      (name) => name.endsWith('.weight') && tensorShapes[name]?.length === 2,
    ),
  );
  const [part] = [...matrices, ...otherParts];
  if (part === undefined) return;
  throw new BallastError(
    'ERR_UNSUPPORTED',
    `Expected a model whose linears are all quantized for format gptq but ${modelType} has ${part}, which stays as it ` +
      'is; use format huggingface or compressed-tensors.',
  );
}

/**
 * A zero point of 0 becomes 1, and the codes of its group go up with it; the highest code stays. Where scales are 0, any
 * code means 0.
 */
async function roundGrid(
  device: Device,
  weight: QuantizedWeight,
  { bits, symmetric }: Grid,
): Promise<QuantizedWeight> {
  if (symmetric) return weight;
  const lowest = await weight.zeros.readFloat32();
  if (!lowest.includes(0)) return weight;
  const { codes, scales, zeros, groupIndex } = weight;
  return device.scope(() => {
    const raised = lowest.map((zero) => Math.max(zero, 1));
    const moved = device.upload('float32', zeros.shape, raised);
    const values = device.dequantize(codes, scales, zeros, 'float32', groupIndex);
    return {
      ...weight,
      codes: device.quantize(values, scales, moved, bits, groupIndex),
      zeros: moved,
    };
  });
}

export const gptq: ExportFormat = {
  name: 'gptq',
  summary: 'packed codes as GPTQ checkpoints hold them (version 1), 2, 3, 4 or 8 bits',
  clients: ['transformers', 'vllm'],
  // Symmetric grids have zero points too.
  storedBits: ({ bits }) => ({ code: bits, group: 16 + bits }),
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
