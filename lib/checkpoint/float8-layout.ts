// How a checkpoint holds weights as float8_e4m3fn, by its quantization_config: which tensor has the scales of a weight, and
// which rows and columns share one. Published are that of DeepSeek-V3 (arXiv 2412.19437, section 3.3; `fp8` in transformers
// 5), a scale for each block of a matrix or one for all of it, the float formats of the package compressed-tensors 0.20, and
// that of FBGEMM, a scale for each row. How activations were quantized is no part of it: a float model has float ones.

import { BallastError } from '../errors.js';
import { isRecord } from './bounded-json.js';

export interface Float8Layout {
  /** What may follow a weight's name in the name of its scales. */
  readonly suffixes: readonly string[];
  /** Which a scale's block may be: the shape of the scales tells. */
  readonly blocks: readonly Float8Block[];
}

/** Rows and columns; 0 for all that there are. */
export type Float8Block = readonly [rows: number, cols: number];

const wholeTensor: Float8Block = [0, 0];
const channel: Float8Block = [1, 0];
/** Of transformers, where the field is absent; others leave it out where there are no blocks. */
const usualBlock: Float8Block = [128, 128];

/** Undefined for weights of another kind. Error ERR_UNSUPPORTED for a field; `directory` is named in it. */
export function float8LayoutOf(
  quantization: Readonly<Record<string, unknown>>,
  directory: string,
): Float8Layout | undefined {
  const fields = new Fields(quantization, 'quantization_config', directory);
  const { quant_method: method, format } = quantization;
  if (method === 'fp8') return scaledBlocks(fields);
  if (method === 'fbgemm_fp8') return { suffixes: ['_scale'], blocks: [channel] };
  const isFloat = format === 'float-quantized' || format === 'naive-quantized';
  return method === 'compressed-tensors' && isFloat ? scaledGroups(fields) : undefined;
}

function scaledBlocks(fields: Fields): Float8Layout {
  fields.only('fmt', ['e4m3', 'float8_e4m3fn']);
  fields.only('expert_dtype', ['fp8']);
  const size = fields.get('weight_block_size');
  if (size === null) return { suffixes: ['_scale_inv', '_scale'], blocks: [wholeTensor] };
  if (size === undefined) {
    return { suffixes: ['_scale_inv', '_scale'], blocks: [wholeTensor, usualBlock] };
  }
  return { suffixes: ['_scale_inv'], blocks: [fields.block('weight_block_size')] };
}

function scaledGroups(fields: Fields): Float8Layout {
  // Rotated besides, or thinned out.
  const rotations = fields.section('transform_config')?.section('config_groups');
  if (rotations !== undefined) throw fields.unsupported('transform_config', 'no rotations');
  fields.section('sparsity_config')?.only('format', ['dense']);
  const groups = fields.section('config_groups');
  const blocks = (groups?.names() ?? []).flatMap((name) => {
    const weights = groups?.section(name)?.section('weights');
    return weights === undefined ? [] : [groupOf(weights)];
  });
  if (blocks.length === 0) throw fields.unsupported('config_groups', 'groups with weights');
  return { suffixes: ['_scale'], blocks };
}

function groupOf(weights: Fields): Float8Block {
  weights.only('type', ['float'], 'int');
  weights.only('num_bits', [8], 8);
  weights.only('symmetric', [true]);
  const size = weights.get('group_size');
  const inferred = typeof size !== 'number' ? 'tensor' : size > 0 ? 'group' : 'channel';
  switch (weights.get('strategy') ?? inferred) {
    case 'tensor':
      return wholeTensor;
    case 'channel':
      return channel;
    case 'group':
      return [1, weights.count('group_size')];
    case 'block':
      return weights.block('block_structure');
    default:
      throw weights.unsupported('strategy', 'one of tensor, channel, group, block');
  }
}

/** An object of the configuration. */
class Fields {
  constructor(
    private readonly values: Readonly<Record<string, unknown>>,
    private readonly path: string,
    private readonly directory: string,
  ) {}

  names(): string[] {
    return Object.keys(this.values);
  }

  get(field: string): unknown {
    return this.values[field];
  }

  /** Undefined where it is absent, null or empty. */
  section(field: string): Fields | undefined {
    const value = this.get(field) ?? {};
    if (!isRecord(value)) throw this.unsupported(field, 'an object');
    if (Object.keys(value).length === 0) return undefined;
    return new Fields(value, `${this.path}.${field}`, this.directory);
  }

  /** Where it is absent it counts as `fallback`, or as one of those that are read. */
  only(field: string, readable: readonly unknown[], fallback: unknown = readable[0]): void {
    if (readable.includes(this.get(field) ?? fallback)) return;
    throw this.unsupported(field, readable.map((value) => JSON.stringify(value)).join(' or '));
  }

  count(field: string): number {
    const value = this.get(field);
    if (isCount(value)) return value;
    throw this.unsupported(field, 'a positive whole number');
  }

  /** Earlier versions wrote "128x128". */
  block(field: string): Float8Block {
    const value = this.get(field);
    const pair = typeof value === 'string' ? value.split('x').map(Number) : value;
    if (isPair(pair)) return pair;
    throw this.unsupported(field, 'two positive whole numbers');
  }

  unsupported(field: string, expected: string): BallastError {
    const received = JSON.stringify(this.get(field)) ?? 'nothing';
    return new BallastError(
      'ERR_UNSUPPORTED',
      `Expected ${expected} for ${this.path}.${field} in config.json of ${this.directory}, which is all that is read ` +
        `of FP8 weights, but received ${received}; pass the model that they were made from.`,
    );
  }
}

function isPair(value: unknown): value is [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every(isCount);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
