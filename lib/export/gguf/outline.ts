// What a GGUF file says of a model, whatever kind of decoder it is.

import type { GatedDecoder } from '../../models/gated-decoder.js';
import type { LanguageModel } from '../../models/index.js';

type Told =
  | 'blocks'
  | 'vocabularySize'
  | 'maxPositions'
  | 'mlpSize'
  | 'activation'
  | 'tiedHead'
  | 'shape'
  | 'scale'
  | 'windows'
  | 'attentionCap'
  | 'logitCap'
  | 'embeddingScale'
  | 'residualScale'
  | 'logitScale'
  | 'norm';

export interface Outline
  extends Pick<GatedDecoder, Told>,
    Partial<Pick<GatedDecoder, 'rotary' | 'rotaries' | 'mixture'>> {}

/** Undefined for a model of no kind that is known here. */
export function outlineOf({ decoder }: LanguageModel): Outline | undefined {
  return decoder;
}
