// The export formats this library knows: one line each.

import { BallastError } from '../errors.js';
import { compressedTensors } from './compressed-tensors.js';
import type { ExportFormat } from './format.js';
import { gguf } from './gguf.js';
import { gptq } from './gptq.js';
import { huggingface } from './huggingface.js';
import { onnx } from './onnx.js';

export const formats: readonly ExportFormat[] = [huggingface, compressedTensors, gptq, gguf, onnx];

/** Throws ERR_ARGUMENT for a name that is not registered. */
export function findFormat(name: string): ExportFormat {
  const format = formats.find((candidate) => candidate.name === name);
  if (format === undefined) {
    const known = formats.map((candidate) => candidate.name).join(', ');
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected one of ${known} for format but received ${name}.`,
    );
  }
  return format;
}
