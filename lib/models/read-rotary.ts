// The rotary positions of a configuration: base, share of a head's channels, and how frequencies were stretched.

import { BallastError } from '../errors.js';
import { ConfigReader } from './config-reader.js';
import { ropeScalings } from './rope-scaling.js';
import { type QueryScale, Rotary } from './rotary.js';

export interface RotarySizes {
  readonly headSize: number;
  readonly maxPositions: number;
}

export interface RotaryFields extends RotarySizes {
  /** The field that holds the base where there is no `rope_parameters`; default 'rope_theta'. */
  readonly baseField?: string;
  /** The base where no field holds it; default 10,000. */
  readonly base?: number;
  /** The field that holds the share of a head's channels that turn, and its default; absent: all of them. */
  readonly share?: { readonly field: string; readonly fallback: number };
  /** The `rope_type`s of the architecture; default: all that texts alone have. */
  readonly types?: readonly string[];
  /** `original_max_position_embeddings` where config.json has none; default: what is said with the parameters. */
  readonly context?: number;
  /** Whether queries are multiplied by 1 + β·log(1 + ⌊position / context⌋), `llama_4_scaling_beta` among the parameters. */
  readonly queryScale?: true;
  /** Whether neighbouring channels turn together. */
  readonly interleaved?: true;
}

const textTypes = Object.keys(ropeScalings).filter((type) => type !== 'mrope');

/** From `rope_parameters`, or from `rope_theta` and `rope_scaling` as configurations held them before. */
export function readRotary(reader: ConfigReader, fields: RotaryFields): Rotary {
  const section = reader.alias('rope_scaling', 'rope_parameters');
  const parameters = reader.object(section);
  for (const kind of ['full_attention', 'sliding_attention']) {
    parameters?.absent(kind, 'the same parameters as all blocks');
  }
  return rotaryOf(reader, parameters, fields);
}

/** With the parameters of some blocks, where not all have the same; plain where there are none. */
export function rotaryOf(
  reader: ConfigReader,
  parameters = new ConfigReader({}),
  fields: RotaryFields,
): Rotary {
  const { headSize, maxPositions, baseField = 'rope_theta', share } = fields;
  const base = parameters.has('rope_theta')
    ? parameters.positive('rope_theta')
    : reader.positive(baseField, fields.base ?? 10_000);
  const typeField = parameters.alias('rope_type', 'type');
  const type = parameters.string(typeField, 'default');
  // There the share is of the pairs that turn, among those of the whole head.
  const turning = type === 'proportional' ? 1 : readShare(reader, parameters, share);
  const channels = rotatedChannels(headSize, turning);
  const wavelengths = Array.from({ length: channels / 2 }, (_, i) =>
    Math.fround(base ** Math.fround((2 * i) / channels)),
  );
  const outside = 'original_max_position_embeddings';
  const context = reader.has(outside) ? reader.count(outside) : fields.context;
  const { types = textTypes } = fields;
  const scaling = types.includes(type) ? ropeScalings[type] : undefined;
  if (scaling === undefined) {
    throw parameters.unsupported(typeField, `one of ${types.join(', ')}`);
  }
  const scaled = scaling({ wavelengths, base, maxPositions, context }, parameters);
  const queryScale = fields.queryScale && readQueryScale(parameters, context);
  const interleaved = fields.interleaved ?? false;
  return new Rotary(headSize, scaled, { base, interleaved, queryScale });
}

function readQueryScale(parameters: ConfigReader, outside: number | undefined): QueryScale {
  const beta = parameters.number('llama_4_scaling_beta');
  const context = outside ?? parameters.count('original_max_position_embeddings');
  return { beta, context };
}

function readShare(
  reader: ConfigReader,
  parameters: ConfigReader,
  share: RotaryFields['share'],
): number {
  const nested = 'partial_rotary_factor';
  if (share === undefined) {
    for (const each of [reader, parameters]) each.only(nested, 1);
    return 1;
  }
  const { field, fallback } = share;
  return parameters.has(nested) ? parameters.positive(nested) : reader.positive(field, fallback);
}

/** Each has a wavelength, listed before the checkpoint is looked at; some hundred times as many as heads have. */
const mostChannels = 1 << 16;

function rotatedChannels(headSize: number, share: number): number {
  const channels = Math.floor(headSize * share);
  if (channels < 2 || channels % 2 !== 0 || channels > Math.min(headSize, mostChannels)) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected rotary embeddings on an even number of a head's ${headSize} channels, ${mostChannels} at most, but config.json ` +
        `puts them on ${channels} (head_dim or qk_rope_head_dim, and the share of it that turns).`,
    );
  }
  return channels;
}
