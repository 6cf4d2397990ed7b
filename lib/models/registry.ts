// The architectures this library knows: one line each.

import { bloom } from './bloom.js';
import { gemma2 } from './gemma2.js';
import { gptNeox } from './gpt-neox.js';
import { gpt2 } from './gpt2.js';
import { llama } from './llama.js';
import { mistral } from './mistral.js';
import type { Architecture, LanguageModel } from './model.js';
import { opt } from './opt.js';
import { phi } from './phi.js';
import { qwen2 } from './qwen2.js';
import { qwen3 } from './qwen3.js';
import { unknownModelType } from './unknown-model-type.js';

export const architectures: readonly Architecture[] = [
  bloom,
  gemma2,
  gpt2,
  gptNeox,
  llama,
  mistral,
  opt,
  phi,
  qwen2,
  qwen3,
];

/**
 * The model of a configuration and the names of the checkpoint's tensors. Throws ERR_UNSUPPORTED for an unknown
 * `model_type` or variant, ERR_CHECKPOINT for a configuration that cannot be.
 */
export function readModel(
  config: Readonly<Record<string, unknown>>,
  tensors: ReadonlySet<string>,
): LanguageModel {
  const type = config.model_type;
  const architecture = architectures.find(({ modelType }) => modelType === type);
  if (architecture === undefined) throw unknownModelType(type, architectures);
  return architecture.read(config, tensors);
}
