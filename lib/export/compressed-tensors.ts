// The format 'compressed-tensors', kind pack-quantized: codes packed along the input channels, zero points (where the
// grid has any) along the output channels, scales in their own dtype. Codes and zero points are stored as they are:
// the format's signed values are ours less 2^(bits−1). Source: the package compressed-tensors 0.20.

import { BallastError } from '../errors.js';
import { type BlockModel, type Config, hasExperts } from '../models/index.js';
import { packedShape } from './bit-packing.js';
import { bytesOf, bytesOfMade } from './bytes.js';
import type { ExportFormat, Grid } from './format.js';
import { groupCount } from './host-codes.js';
import type { LinearLayout } from './safetensors-layout.js';
import { openLayoutReader } from './safetensors-reader.js';
import { openLayoutWriter } from './safetensors-writer.js';
import { wholeZeros } from './whole-zeros.js';

const layout: LinearLayout = {
  plan({ spec: { inChannels, outChannels }, grid }) {
    const { bits, groupSize, symmetric, scaleDtype } = grid;
    const groups = groupCount(inChannels, groupSize);
    const packed = packedShape([outChannels, inChannels], bits, 1);
    const zeros = packedShape([outChannels, groups], bits, 0);
    return [
      { name: 'weight_packed', dtype: 'int32', shape: packed },
      { name: 'weight_scale', dtype: scaleDtype, shape: [outChannels, groups] },
      { name: 'weight_shape', dtype: 'int64', shape: [2] },
      ...(symmetric
        ? []
        : ([{ name: 'weight_zero_point', dtype: 'int32', shape: zeros }] as const)),
    ];
  },
  async pack(device, { codes: weight }, { name, grid }) {
    const { bits, symmetric, scaleDtype } = grid;
    const { codes, scales } = weight;
    const zeros = wholeZeros(await weight.zeros.readFloat32(), grid, name);
    const shape = BigInt64Array.of(BigInt(codes.rows), BigInt(codes.cols));
    const packedZeros = () => {
      const turned = device.transpose(device.upload('uint8', scales.shape, zeros));
      return device.transpose(device.packCodes(turned, bits));
    };
    return {
      weight_packed: await bytesOfMade(device, () => device.packCodes(codes, bits)),
      weight_scale: await bytesOfMade(device, () => device.cast(scales, scaleDtype)),
      weight_shape: bytesOf(shape),
      ...(symmetric ? {} : { weight_zero_point: await bytesOfMade(device, packedZeros) }),
    };
  },
  async unpack(device, stored, { spec: { inChannels, outChannels }, grid, dtype }) {
    const { bits, groupSize, symmetric } = grid;
    const groups = groupCount(inChannels, groupSize);
    const middle = () =>
      device.upload(
        'float32',
        [outChannels, groups],
        new Float32Array(outChannels * groups).fill(2 ** (bits - 1)),
      );
    const storedZeros = () => {
      const turned = device.transpose(stored.tensor('weight_zero_point'));
      return device.cast(
        device.transpose(device.unpackCodes(turned, bits, outChannels)),
        'float32',
      );
    };
    return device.scope(() => {
      const codes = device.unpackCodes(stored.tensor('weight_packed'), bits, inChannels);
      const scales = device.cast(stored.tensor('weight_scale'), 'float32');
      const zeros = symmetric ? middle() : storedZeros();
      const weight = device.dequantize(codes, scales, zeros, dtype);
      return { codes: { codes, scales, zeros }, weight };
    });
  },
  config({ bits, groupSize, symmetric, actOrder }, { untouched, otherParts }) {
    const weights = {
      num_bits: bits,
      type: 'int',
      symmetric,
      strategy: groupSize === 0 ? 'channel' : 'group',
      group_size: groupSize === 0 ? null : groupSize,
      dynamic: false,
      ...(actOrder ? { actorder: 'weight' } : {}),
    };
    const group = {
      targets: ['Linear'],
      weights,
      input_activations: null,
      output_activations: null,
    };
    return {
      quantization_config: {
        quant_method: 'compressed-tensors',
        format: 'pack-quantized',
        quantization_status: 'compressed',
        config_groups: { group_0: { ...group, format: 'pack-quantized' } },
        // Whether a head of its own or one tied to the embedding, which is in no file: never quantized.
        ignore: [
          'lm_head',
          ...untouched.filter((name) => name !== 'lm_head').map((name) => underAnyRoot(name)),
          ...otherParts.map((part) => underAnyRoot(part, '\\..*')),
        ],
      },
    };
  },
};

/** What clients call otherwise once a model is loaded: vLLM has 'language_model.model' where checkpoints have the reverse. */
const roots = /^((model|language_model)\.)+/;

/**
 * The format's pattern for a module, or for what is `inside` it, whatever stands before it: in a checkpoint that was saved
 * from the bare decoder, names lack the root that the module has once it is loaded ('model.' of OPT's projections, which
 * would be taken for quantized ones).
 */
function underAnyRoot(name: string, inside = ''): string {
  return `re:(.*\\.)?${name.replace(roots, '').replaceAll('.', '\\.')}${inside}$`;
}

function expectGrid({ actOrder, staticGroups }: Grid): void {
  if (!actOrder || staticGroups) return;
  throw new BallastError(
    'ERR_ARGUMENT',
    'Expected staticGroups with actOrder for format compressed-tensors: it holds groups of consecutive columns only.',
  );
}

function expectModel(model: BlockModel, _config: Config, { symmetric, actOrder }: Grid): void {
  const { modelType, linears, joinsParts } = model;
  if (joinsParts !== undefined) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected experts that clients read packed for format compressed-tensors but those of ${modelType} are one tensor, which ` +
        'they read as floats alone; use format huggingface.',
    );
  }
  // Clients put the codes of all experts together and leave zero points and orders of columns behind.
  if (hasExperts(model) && (!symmetric || actOrder)) {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected symmetric true and actOrder false for format compressed-tensors with the experts of ${modelType}, of which ` +
        `its clients read no other grid, but received ${symmetric} and ${actOrder}; quantize it so, or use format huggingface ` +
        'or gguf.',
    );
  }
  const transposed = linears.find(({ layout: stored }) => stored === 'in_out');
  if (transposed === undefined) return;
  throw new BallastError(
    'ERR_UNSUPPORTED',
    `Expected weights stored [out, in] for format compressed-tensors but ${transposed.name} of ${modelType} is ` +
      'stored [in, out]; use format huggingface.',
  );
}

export const compressedTensors: ExportFormat = {
  name: 'compressed-tensors',
  summary: 'packed codes for vLLM and transformers, 2 to 8 bits',
  clients: ['transformers', 'vllm'],
  gridDefaults: { scaleDtype: 'float16' },
  expectGrid,
  expectModel,
  open(input) {
    expectModel(input.model, input.config, input.grid);
    return openLayoutWriter(input, layout);
  },
  read: (input) => openLayoutReader(input, layout),
};
