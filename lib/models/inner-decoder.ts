// A language model inside a checkpoint that reads images too: its configuration is `text_config`, its tensors have
// longer names, and what encodes images beside it goes into results as it is.

import { type GatedDecoder, gatedDecoder, type Place } from './gated-decoder.js';
import type { Config, LanguageModel } from './model.js';

/** Where a family's checkpoints have the language model, and what stands beside it. */
export interface InnerParts {
  readonly places: readonly [Place, ...Place[]];
  readonly otherParts: readonly string[];
}

/** Saved by version 4 of transformers from 4.52 on, by most families' authors, and by version 5. */
export const nested: Place = { root: 'model.language_model.', head: 'lm_head.weight' };

/** Of Gemma and Mistral. */
const usualParts: InnerParts = {
  places: [{ root: 'language_model.model.', head: 'language_model.lm_head.weight' }, nested],
  otherParts: ['vision_tower', 'multi_modal_projector'],
};

export function innerDecoder(
  decoder: GatedDecoder,
  config: Config,
  tensors: ReadonlySet<string>,
  { places, otherParts }: InnerParts = usualParts,
): LanguageModel {
  const text = config.text_config as Config;
  const { biasFields } = decoder;
  const inner =
    biasFields === undefined
      ? decoder
      : { ...decoder, biasFields: { text_config: { ...text, ...biasFields } } };
  return { ...gatedDecoder(inner, tensors, places), otherParts };
}
