// The options of `ballast quantize`, one row each; see option-table.ts.

import { formats } from '../export/index.js';
import type { QuantizeOptions } from '../index.js';
import { quantizers } from '../quantizers/index.js';
import { byteCount, list, number, type OptionTable } from './option-table.js';
import { recurringOptions, sequenceLengthDefault } from './recurring-options.js';

const names = (registry: readonly { readonly name: string }[]) =>
  registry.map(({ name }) => name).join(', ');

/** `defaults` as the help tells them: methods and formats have some of their own, '0.01; descent: 0.03; comq: 0'. */
export function toldDefaults(defaults: Readonly<Record<string, unknown>>) {
  const told: Record<string, unknown> = { ...defaults };
  const owners = [
    ...quantizers.map(({ name, defaults: own }) => ({ name, own })),
    ...quantizers.map(({ name, jointDefaults: own }) => ({ name: `${name}, joint fit`, own })),
    ...formats.map(({ name, gridDefaults: own }) => ({ name, own })),
  ];
  for (const { name, own = {} } of owners) {
    for (const [option, value] of Object.entries(own)) told[option] += `; ${name}: ${value}`;
  }
  return told;
}

/** Rows stand in the order of --help. */
export const quantizeOptions: OptionTable<QuantizeOptions> = {
  output: recurringOptions.output,
  calibration: {
    flags: '-c, --calibration <file>',
    help: 'text: .txt, .jsonl or .parquet; for image classifiers a directory, list file or .safetensors',
    required: true,
  },
  method: { flags: '-m, --method <name>', help: `quantizer: ${names(quantizers)}` },
  bits: { flags: '-b, --bits <n>', help: 'bits per weight, 2 to 8', parse: number },
  groupSize: {
    flags: '-g, --group-size <n>',
    help: 'input channels that share a scale; 0: one scale per output channel',
    parse: number,
  },
  symmetric: { flags: '--symmetric', help: 'fix the zero point in the middle of the codes' },
  clip: { flags: '--clip <none|mse>', help: 'how the range of a scale is found' },
  weightSearch: {
    flags: '--weight-search <none|cosine|hessian>',
    help: "search each output channel's range by what it changes the linear's output",
  },
  scaleDtype: {
    flags: '--scale-dtype <float32|float16|bfloat16>',
    help: 'what scales are rounded to',
  },
  superBlocks: {
    flags: '--super-blocks',
    help: 'grids of llama.cpp’s types Q2_K … Q6_K, by the bits; with format gguf always of 2, 3 and 6 bits',
  },
  damping: {
    flags: '--damping <share>',
    help: 'share of the mean diagonal added before a moment is factorised; of experts with few tokens more',
    parse: number,
  },
  actOrder: { flags: '--act-order', help: 'sweep columns in order of decreasing moment' },
  staticGroups: {
    flags: '--static-groups',
    help: 'with --act-order: groups are runs of the original columns',
  },
  rounds: { flags: '--rounds <n>', help: 'rounds of coordinate descent at most', parse: number },
  order: {
    flags: '--order <cyclic|greedy>',
    help: 'in which descent goes through the columns',
  },
  refit: {
    flags: '--refit <none|scales>',
    help: 'scales: move each to where the layer loses least, once codes are found',
  },
  activationBits: {
    flags: '--activation-bits <n>',
    help: 'bits per activation, 2 to 8; 0: activations stay float',
    parse: number,
  },
  activationSites: {
    flags: '--activation-sites <linear,attention>',
    help: 'inputs of linears, operands of attention',
    parse: list,
  },
  activationRange: {
    flags: '--activation-range <minmax|percentile|mse|cosine|hessian|dynamic>',
    help: 'how the range of activations is found',
  },
  activationTwin: {
    flags: '--activation-twin',
    help: 'two ranges after softmax and activation functions; with cosine or hessian',
  },
  activationGranularity: {
    flags: '--activation-granularity <tensor|token>',
    help: 'what shares a range; token with --activation-range dynamic only',
  },
  activationSymmetric: {
    flags: '--activation-symmetric',
    help: "fix the zero point in the middle of the activations' codes",
  },
  compensation: {
    flags: '--compensation <none|channel|position>',
    help: 'granularity of the bias that makes good what rounding took',
  },
  sites: {
    flags: '--sites <linear,matmul,attention,mlp,block,model>',
    help: 'outputs that get a bias',
    parse: list,
  },
  fit: {
    flags: '--fit <joint|sequential>',
    help: 'quantize against the centred covariance, or as if no bias followed',
  },
  propagate: {
    flags: '--propagate <float|quantized>',
    help: 'path whose inputs errors and biases are measured on',
  },
  target: {
    flags: '--target <layer|float>',
    help: 'reproduce the own float weight on the same inputs, or the float path',
  },
  trueSequential: {
    flags: '--no-true-sequential',
    help: 'take all statistics of a block before any of its linears is quantized',
  },
  certificateSamples: {
    flags: '--certificate-samples <n>',
    help: `samples that second moments are taken of where they only tell errors (${names(quantizers.filter(({ needsMoment }) => !needsMoment))})`,
    parse: number,
  },
  heldOut: {
    flags: '--held-out <share>',
    help: 'held-out samples that judge each bias, as a share of --samples; 0 keeps every bias',
    parse: number,
  },
  shrinkage: {
    flags: '--shrinkage <k>',
    help: 'shrink a bias that is a mean of n observations by n/(n + k)',
    parse: number,
  },
  samples: { flags: '--samples <n>', help: 'calibration samples', parse: number },
  sequenceLength: {
    flags: '--sequence-length <n>',
    help: `tokens per sample ${sequenceLengthDefault}`,
    parse: number,
  },
  sampling: {
    flags: '--sampling <sequential|random>',
    help: 'samples from the start on, or from random places',
  },
  seed: { flags: '--seed <n>', help: 'seed of everything random', parse: number },
  field: recurringOptions.field,
  format: {
    flags: '--format <name>',
    help: `what the result is written as: ${names(formats)}`,
  },
  client: recurringOptions.client,
  architecture: recurringOptions.architecture,
  device: recurringOptions.devices,
  threads: recurringOptions.threads,
  precision: recurringOptions.precision,
  spareBytes: {
    flags: '--spare-memory <size>',
    help: 'for what would be computed twice, beyond the plan (default: it may fill half of what is free, of a GPU seven eighths)',
    parse: byteCount,
  },
  overwrite: recurringOptions.overwrite,
  maxShardBytes: recurringOptions.maxShardBytes,
  embeddingBits: recurringOptions.embeddingBits,
  token: recurringOptions.token,
};
