// The fields of config.json that decoders with latent attention have in common, in DeepSeek's words (arXiv 2405.04434,
// 2412.19437), with the defaults of each class.

import { ConfigReader } from './config-reader.js';
import type { GatedDecoder } from './gated-decoder.js';
import type { LatentShape } from './latent-attention.js';
import { type GatedDefaults, readBiases, readGatedDecoder } from './read-gated-decoder.js';
import { readRotary } from './read-rotary.js';
import { yarnMagnitude } from './rope-scaling.js';

/** The plain decoder of them: no experts. */
export function readLatentDecoder(
  reader: ConfigReader,
  modelType: string,
  defaults: Pick<LatentShape, 'nopeSize' | 'valueSize'> & {
    readonly queryRank: number;
    readonly eps?: number;
    /** Whether neighbouring channels turn together; default: what `rope_interleave` says. */
    readonly interleaved?: boolean;
  },
): GatedDecoder {
  const latent = readLatentShape(reader, defaults);
  const { hiddenSize, heads, nopeSize, ropeSize } = latent;
  const headSize = nopeSize + ropeSize;
  const interleaved = defaults.interleaved ?? reader.boolean('rope_interleave', true);
  const shared: GatedDefaults = {
    ...(defaults.eps !== undefined && { eps: defaults.eps }),
    shape: { hiddenSize, heads, keyValueHeads: heads, headSize },
    readRotary: ({ maxPositions }) =>
      readRotary(reader, { headSize: ropeSize, maxPositions, ...(interleaved && { interleaved }) }),
  };
  const decoder = readGatedDecoder(reader, modelType, shared);
  return {
    ...decoder,
    ...readBiases(reader, { mlp: false }),
    latent,
    scale: decoder.scale * readSharpness(reader),
  };
}

function readLatentShape(
  reader: ConfigReader,
  defaults: Parameters<typeof readLatentDecoder>[2],
): LatentShape {
  const heads = reader.count('num_attention_heads');
  // Keys and values are of all heads.
  if (reader.has('num_key_value_heads')) {
    reader.divides('num_key_value_heads', 'num_attention_heads');
    reader.only('num_key_value_heads', heads);
  }
  return {
    hiddenSize: reader.count('hidden_size'),
    heads,
    queryRank: reader.countOrNull('q_lora_rank', defaults.queryRank),
    keyValueRank: reader.count('kv_lora_rank', 512),
    nopeSize: reader.count('qk_nope_head_dim', defaults.nopeSize),
    ropeSize: reader.count('qk_rope_head_dim', 64),
    valueSize: reader.count('v_head_dim', defaults.valueSize),
  };
}

/**
 * What scores are multiplied by where positions are stretched: queries and keys are sharpened whole, not where they turn
 * alone, each by yarn's magnitude (arXiv 2309.00071, section 3.4) for `mscale_all_dim`.
 */
function readSharpness(reader: ConfigReader): number {
  const section = reader.alias('rope_scaling', 'rope_parameters');
  const parameters = reader.object(section) ?? new ConfigReader({});
  const type = parameters.string(parameters.alias('rope_type', 'type'), 'default');
  const allChannels = parameters.number('mscale_all_dim', 0);
  if (type === 'default' || allChannels === 0) return 1;
  return yarnMagnitude(parameters.positive('factor'), allChannels) ** 2;
}
