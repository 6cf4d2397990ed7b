// Layers behind the blocks that predict tokens further ahead (arXiv 2412.19437, section 2.2): checkpoints hold them as
// blocks beyond the last, results as they are. No model of them is run.

import type { ConfigReader } from './config-reader.js';
import type { LanguageModel } from './model.js';

/** The model with those layers as other parts, where the checkpoint has them. */
export function withPredictionLayers(
  model: LanguageModel,
  reader: ConfigReader,
  tensors: ReadonlySet<string>,
): LanguageModel {
  const field = reader.alias('num_nextn_predict_layers', 'num_mtp_layers');
  const count = reader.countOrNone(field, 0);
  const names = Array.from({ length: count }, (_, i) => model.blockName(model.blocks + i));
  const held = names.filter((name) => [...tensors].some((tensor) => tensor.startsWith(`${name}.`)));
  return held.length === 0 ? model : { ...model, otherParts: held };
}

/** The same where they are a module of their own, as Qwen's are. */
export function withPredictionModule(
  model: LanguageModel,
  tensors: ReadonlySet<string>,
): LanguageModel {
  const held = [...tensors].some((name) => name.startsWith('mtp.'));
  return held ? { ...model, otherParts: [...(model.otherParts ?? []), 'mtp'] } : model;
}
