// Checkpoints whose weights another tool has quantized (GPTQ, AWQ, bitsandbytes, FP8 …): their config.json says so. Of most,
// tensors are codes under names and in layouts of that tool. FP8 and MXFP4 weights are floats, stored so that a scale is
// missing from them: the checkpoint is seen as that of the float model.

import { BallastError } from '../errors.js';
import { isRecord } from './bounded-json.js';
import type { Checkpoint } from './checkpoint.js';
import { tensorsOfFloat4 } from './float4-weights.js';
import { float8LayoutOf } from './float8-layout.js';
import { floatTensors } from './float8-weights.js';

type Config = Readonly<Record<string, unknown>>;

const floatTypes = ['float32', 'float16', 'bfloat16'] as const;

/** The method that quantized the weights, as config.json calls it; undefined where they are float. */
export function quantizationMethod(config: Config): string | undefined {
  const quantization = quantizationOf(config);
  if (quantization === undefined) return undefined;
  const method = isRecord(quantization) ? quantization.quant_method : undefined;
  return typeof method === 'string' ? method : 'unnamed';
}

/**
 * The checkpoint itself, or that of the float model where it holds FP8 or MXFP4 weights: in the type that config.json names, which is
 * what transformers computes in, else bfloat16. Errors: ERR_UNSUPPORTED for weights that are quantized otherwise,
 * ERR_CHECKPOINT for scales that are missing or of another shape.
 */
export function withFloatWeights(checkpoint: Checkpoint): Checkpoint {
  const { config, tensors, directory } = checkpoint;
  const method = quantizationMethod(config);
  if (method === undefined) return checkpoint;
  const quantization = quantizationOf(config);
  const dtype = floatTypes.find((type) => type === dtypeOf(config)) ?? 'bfloat16';
  if (method === 'mxfp4') {
    return checkpoint.seenAs(withoutQuantization(config), tensorsOfFloat4(tensors, dtype));
  }
  const layout = isRecord(quantization) ? float8LayoutOf(quantization, directory) : undefined;
  if (layout === undefined) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected float weights but quantization_config in config.json of ${directory} says that they are quantized ` +
        `(${method}); pass the model that they were made from.`,
    );
  }
  return checkpoint.seenAs(withoutQuantization(config), floatTensors(tensors, layout, dtype));
}

/** Of a model with a decoder inside, in the decoder's part too. */
function quantizationOf({
  quantization_config: quantization,
  text_config: decoder,
}: Config): unknown {
  return (
    quantization ?? (isRecord(decoder) ? (decoder.quantization_config ?? undefined) : undefined)
  );
}

function dtypeOf({ dtype, torch_dtype: formerly, text_config: decoder }: Config): unknown {
  return dtype ?? formerly ?? (isRecord(decoder) ? dtypeOf(decoder) : undefined);
}

function withoutQuantization(config: Config): Record<string, unknown> {
  const { quantization_config: _dropped, ...kept } = config;
  const { text_config: decoder } = kept;
  return isRecord(decoder) ? { ...kept, text_config: withoutQuantization(decoder) } : kept;
}
