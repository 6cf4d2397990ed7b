// Norms by the names of their tensors.

import type { Device, OperandType, Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import type { FoldSlot } from './model.js';
import type { Weights } from './weights.js';

/** `<name>.weight` and `<name>.bias`; norms without affine parameters have neither. */
export function layerNorm(
  device: Device,
  x: Tensor,
  weights: Weights,
  name: string,
  eps: number,
  dtype?: OperandType,
): Tensor {
  const find = (parameter: string) => {
    const tensor = weights.find(`${name}.${parameter}`);
    if (tensor !== undefined) expectSize(tensor, `${name}.${parameter}`, x.cols);
    return tensor;
  };
  return device.layerNorm(x, find('weight'), find('bias'), eps, dtype);
}

interface RmsNorm {
  readonly kind: 'rms';
  readonly eps: number;
  /** What is added to the weight. */
  readonly offset: number;
}

/** A layer norm that a decoder has everywhere. */
interface LayerNorm {
  readonly kind: 'layer';
  readonly eps: number;
  readonly bias: boolean;
}

/** What a decoder has before, behind or within its parts. */
export type DecoderNorm = RmsNorm | LayerNorm;

/** Over rows of `size` channels, as `rmsNorm`; layer norms are over whole rows. */
export function decoderNorm(
  device: Device,
  x: Tensor,
  weights: Weights,
  name: string,
  size: number,
  norm: DecoderNorm,
  dtype?: OperandType,
): Tensor {
  return norm.kind === 'rms'
    ? rmsNorm(device, x, weights, name, size, norm, dtype)
    : layerNorm(device, x, weights, name, norm.eps, dtype);
}

/** The tensors of such norms. */
export function decoderNormTensors(norm: DecoderNorm, ...names: readonly string[]): string[] {
  const affine = norm.kind === 'layer' && norm.bias ? ['weight', 'bias'] : ['weight'];
  return names.flatMap((name) => affine.map((parameter) => `${name}.${parameter}`));
}

/** Over rows of `size` channels: where x is wider, one norm for each head. */
function rmsNorm(
  device: Device,
  x: Tensor,
  weights: Weights,
  name: string,
  size: number,
  { eps, offset }: RmsNorm,
  dtype?: OperandType,
): Tensor {
  const weight = weights.get(`${name}.weight`);
  // A shorter weight would pass as a norm of parts of a row.
  expectSize(weight, `${name}.weight`, size);
  return device.rmsNorm(x, weight, eps, offset, dtype);
}

/** The same without a weight, over rows of `size` channels each. */
export function plainNorm(device: Device, x: Tensor, size: number, { eps }: DecoderNorm): Tensor {
  return device.rmsNorm(x, device.upload('float32', [size], new Float32Array(size).fill(1)), eps);
}

/** Error ERR_CHECKPOINT for a tensor of another number of values than config.json says. */
export function expectSize(tensor: Tensor, name: string, size: number): void {
  if (tensor.elements === size) return;
  throw new BallastError(
    'ERR_CHECKPOINT',
    `Expected ${size} values for ${name} as config.json says but the checkpoint holds ${tensor.elements}.`,
  );
}

/** The tensors of layer norms. */
export function normTensors(...names: readonly string[]): string[] {
  return names.flatMap((name) => [`${name}.weight`, `${name}.bias`]);
}

/** Shapes of tensors that have one value for each channel, by name. */
export function vectorShapes(size: number, ...names: readonly string[]): Record<string, number[]> {
  return Object.fromEntries(names.map((name) => [name, [size]]));
}

/** The slot that a norm's bias is, where it is among the tensors. */
export function normSlot(tensors: readonly string[], name: string): FoldSlot {
  const tensor = `${name}.bias`;
  if (tensors.includes(tensor)) return { kind: 'norm', tensor };
  return { kind: 'none', reason: `${name}, whose output it is, has no bias to fold it into.` };
}
