// The sizes and constants of a model as GGUF metadata. Source: gguf-py's constants.

import type { Config } from '../../models/index.js';
import { constantMetadata } from './constants.js';
import { expertMetadata } from './expert-metadata.js';
import type { GgufLayout } from './layout.js';
import { bools, float32, type Metadata, string, uint32 } from './metadata.js';
import type { Outline } from './outline.js';
import { rotationMetadata, slidesIn } from './rotation.js';

/** Sizes and constants; the tokenizer's part is tokenizer.ts's. */
export function modelMetadata(layout: GgufLayout, config: Config, fileType: number): Metadata {
  const { architecture, outline } = layout;
  const { shape, blocks, mlpSize, norm, vocabularySize, mixture } = outline;
  const { name } = architecture;
  const epsilon = norm.kind === 'rms' ? 'layer_norm_rms_epsilon' : 'layer_norm_epsilon';
  const further = Object.entries(architecture.metadata?.(outline, config) ?? {});
  return {
    'general.architecture': string(name),
    'general.type': string('model'),
    'general.quantization_version': uint32(2),
    'general.file_type': uint32(fileType),
    [`${name}.vocab_size`]: uint32(vocabularySize),
    [`${name}.context_length`]: uint32(contextLength(layout)),
    [`${name}.embedding_length`]: uint32(shape.hiddenSize),
    [`${name}.block_count`]: uint32(blocks),
    [`${name}.feed_forward_length`]: uint32(mlpSize),
    [`${name}.attention.head_count`]: uint32(shape.heads),
    [`${name}.attention.head_count_kv`]: uint32(shape.keyValueHeads),
    [`${name}.attention.key_length`]: uint32(shape.headSize),
    [`${name}.attention.value_length`]: uint32(shape.headSize),
    [`${name}.attention.${epsilon}`]: float32(norm.eps),
    ...windowMetadata(layout),
    ...rotationMetadata(layout),
    ...constantMetadata(architecture, outline),
    ...(mixture && expertMetadata(architecture, mixture)),
    ...Object.fromEntries(further.map(([key, value]) => [`${name}.${key}`, value])),
  };
}

/** Of models that see how far apart tokens are, whatever that is: what BLOOM was trained on. */
const anyContext = 2048;

/** Where an architecture does not slide, a context that fits into one window needs none. */
function contextLength(layout: GgufLayout): number {
  const { architecture, outline } = layout;
  const maxPositions = Number.isFinite(outline.maxPositions) ? outline.maxPositions : anyContext;
  if (slidesIn(architecture, outline)) return maxPositions;
  return Math.min(maxPositions, ...windowsOf(outline));
}

function windowsOf({ windows }: Outline): number[] {
  return windows.filter((tokens) => tokens > 0);
}

function windowMetadata(layout: GgufLayout): Metadata {
  const { architecture, outline } = layout;
  if (!slidesIn(architecture, outline)) return {};
  // Absent, some architectures have one of their own.
  const [window = outline.maxPositions] = windowsOf(outline);
  const { name } = architecture;
  return {
    [`${name}.attention.sliding_window`]: uint32(window),
    [`${name}.attention.sliding_window_pattern`]: bools(
      outline.windows.map((tokens) => tokens > 0),
    ),
  };
}
