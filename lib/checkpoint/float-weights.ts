// Checkpoints whose weights another tool has quantized (GPTQ, AWQ, bitsandbytes, FP8 …): their config.json says so, and
// their tensors are codes under names and in layouts of that tool.

import { BallastError } from '../errors.js';
import { isRecord } from './bounded-json.js';

/** The method that quantized the weights, as config.json calls it; undefined where they are float. */
export function quantizationMethod({
  quantization_config: quantization,
}: Readonly<Record<string, unknown>>): string | undefined {
  if (quantization === undefined || quantization === null) return undefined;
  const method = isRecord(quantization) ? quantization.quant_method : undefined;
  return typeof method === 'string' ? method : 'unnamed';
}

/** Error ERR_UNSUPPORTED for a configuration of quantized weights; `directory` is named in it. */
export function expectFloatWeights(
  config: Readonly<Record<string, unknown>>,
  directory: string,
): void {
  const method = quantizationMethod(config);
  if (method === undefined) return;
  throw new BallastError(
    'ERR_UNSUPPORTED',
    `Expected float weights but quantization_config in config.json of ${directory} says that they are quantized ` +
      `(${method}); pass the model that they were made from.`,
  );
}
