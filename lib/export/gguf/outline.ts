// What a GGUF file says of a model, whatever kind of decoder it is.

import type { GatedDecoder } from '../../models/gated-decoder.js';
import type { LanguageModel } from '../../models/index.js';
import type { LayerNormDecoder } from '../../models/layer-norm-decoder.js';

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
  | 'norm'
  | 'parallel';

export interface Outline
  extends Pick<GatedDecoder, Told>,
    Partial<Pick<GatedDecoder, 'rotary' | 'rotaries' | 'mixture'>> {
  /** Whether what is added to is what a norm gives, not what it reads. */
  readonly residualAfterNorm?: boolean;
}

/** Undefined for a model of no kind that is known here. */
export function outlineOf({ decoder, layerNormDecoder }: LanguageModel): Outline | undefined {
  return decoder ?? (layerNormDecoder && layerNormOutline(layerNormDecoder));
}

function layerNormOutline(decoder: LayerNormDecoder): Outline {
  const { blocks, eps, embedding, projection, sizes, residualAfterNorm = false } = decoder;
  const { window = 0, ...others } = sizes;
  return {
    ...decoder,
    ...others,
    residualAfterNorm,
    tiedHead: projection.weight === embedding,
    windows: new Array<number>(blocks).fill(window),
    norm: { kind: 'layer', eps, bias: true },
    ...{ attentionCap: 0, logitCap: 0, embeddingScale: 1, residualScale: 1, logitScale: 1 },
  };
}
