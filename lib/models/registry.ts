// The architectures this library knows: one line each.

import { BallastError } from '../errors.js';
import type { Architecture, LanguageModel } from './model.js';
import { opt } from './opt.js';

export const architectures: readonly Architecture[] = [opt];

/**
 * The model of a configuration and the names of the checkpoint's tensors. Throws ERR_UNSUPPORTED for an unknown
 * `model_type`, ERR_CHECKPOINT for a configuration that cannot be.
 */
export function readModel(
  config: Readonly<Record<string, unknown>>,
  tensors: ReadonlySet<string>,
): LanguageModel {
  const architecture = architectures.find(({ modelType }) => modelType === config.model_type);
  if (architecture === undefined) {
    const known = architectures.map(({ modelType }) => modelType).join(', ');
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected a supported model_type in config.json (${known}) but received ${JSON.stringify(config.model_type)}. ` +
        'docs/add-a-model.md shows how to add an architecture.',
    );
  }
  return architecture.read(config, tensors);
}
