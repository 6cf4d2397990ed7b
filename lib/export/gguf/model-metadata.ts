// The sizes and constants of a model as GGUF metadata, and its rotary frequencies. Source: gguf-py's constants.

import { ConfigReader } from '../../models/config-reader.js';
import type { Experts } from '../../models/experts.js';
import type { GatedDecoder } from '../../models/gated-decoder.js';
import type { GgufArchitecture } from './architectures.js';
import { float32, type Metadata, string, uint32 } from './metadata.js';

interface Described {
  readonly architecture: GgufArchitecture;
  readonly decoder: GatedDecoder;
}

/** Sizes and constants; the tokenizer's part is tokenizer.ts's. */
export function modelMetadata(
  { architecture, decoder }: Described,
  config: Readonly<Record<string, unknown>>,
  fileType: number,
): Metadata {
  const { shape, blocks, mlpSize, norm, vocabularySize, rotary, mixture } = decoder;
  const { name } = architecture;
  return {
    'general.architecture': string(name),
    'general.type': string('model'),
    'general.quantization_version': uint32(2),
    'general.file_type': uint32(fileType),
    [`${name}.vocab_size`]: uint32(vocabularySize),
    [`${name}.context_length`]: uint32(contextLength(decoder)),
    [`${name}.embedding_length`]: uint32(shape.hiddenSize),
    [`${name}.block_count`]: uint32(blocks),
    [`${name}.feed_forward_length`]: uint32(mlpSize),
    [`${name}.attention.head_count`]: uint32(shape.heads),
    [`${name}.attention.head_count_kv`]: uint32(shape.keyValueHeads),
    [`${name}.attention.key_length`]: uint32(shape.headSize),
    [`${name}.attention.value_length`]: uint32(shape.headSize),
    [`${name}.attention.layer_norm_rms_epsilon`]: float32(norm.eps),
    [`${name}.rope.dimension_count`]: uint32(rotary.channels),
    [`${name}.rope.freq_base`]: float32(rotaryBase(config, architecture)),
    ...(mixture && expertMetadata(name, mixture)),
    ...(rotary.attentionFactor === 1
      ? {}
      : { [`${name}.rope.scaling.attn_factor`]: float32(rotary.attentionFactor) }),
  };
}

function expertMetadata(name: string, { count, perToken, size, shared }: Experts): Metadata {
  return {
    [`${name}.expert_count`]: uint32(count),
    [`${name}.expert_used_count`]: uint32(perToken),
    [`${name}.expert_feed_forward_length`]: uint32(size),
    ...(shared && { [`${name}.expert_shared_feed_forward_length`]: uint32(shared.size) }),
  };
}

/** Sliding windows are not part of 'llama': a context that fits into one window needs none. */
function contextLength({ windows, maxPositions }: GatedDecoder): number {
  return Math.min(maxPositions, ...windows.filter((tokens) => tokens > 0));
}

function rotaryBase(
  config: Readonly<Record<string, unknown>>,
  { rotaryBase: usual = 10_000 }: GgufArchitecture,
): number {
  const reader = new ConfigReader(config);
  const parameters = reader.object(reader.alias('rope_scaling', 'rope_parameters'));
  return parameters?.has('rope_theta')
    ? parameters.positive('rope_theta')
    : reader.positive('rope_theta', usual);
}

/** What llama.cpp divides each pair's plain frequency by; undefined where that is 1 for all. */
export function rotaryFactors(
  { architecture, decoder }: Described,
  config: Readonly<Record<string, unknown>>,
): Float32Array | undefined {
  const frequencies = decoder.rotary.frequencies(1);
  const base = rotaryBase(config, architecture);
  const factors = Float32Array.from(
    frequencies,
    (frequency, i) => base ** (-i / frequencies.length) / frequency,
  );
  return factors.every((factor) => Math.abs(factor - 1) < 1e-5) ? undefined : factors;
}
