// Checkpoints whose weights another tool has quantized (GPTQ, AWQ, bitsandbytes, FP8 …): their config.json says so, and
// their tensors are codes under names and in layouts of that tool.

import { BallastError } from '../errors.js';
import { isRecord } from './bounded-json.js';

/** Error ERR_UNSUPPORTED for a configuration of quantized weights; `directory` is named in it. */
export function expectFloatWeights(
  { quantization_config: quantization }: Readonly<Record<string, unknown>>,
  directory: string,
): void {
  if (quantization === undefined || quantization === null) return;
  const method = isRecord(quantization) ? quantization.quant_method : undefined;
  throw new BallastError(
    'ERR_UNSUPPORTED',
    `Expected float weights but quantization_config in config.json of ${directory} says that they are quantized ` +
      `(${typeof method === 'string' ? method : 'quant_method is not given'}); pass the model that they were made from.`,
  );
}
