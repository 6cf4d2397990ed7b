// Options that several commands have, which then read and mean the same; see option-table.ts.

import { clients } from '../clients.js';
import { bytes } from '../number-formats.js';
import { sharedDefaults } from '../shared-defaults.js';
import { byteCount, nameOrList, number, type OptionRow } from './option-table.js';

/** What a command works on. */
export const modelArgument = [
  '<model>',
  'model directory, or hub id such as organisation/name',
] as const;

/** Of a limit that is the model's. */
export const sequenceLengthDefault = `(default: ${sharedDefaults.sequenceLength} or what the model supports)`;

export const recurringOptions = {
  output: { flags: '-o, --output <dir>', help: 'directory for the result', required: true },
  field: {
    flags: '--field <name>',
    help: 'field (JSONL) or column (parquet) of the text, such as body or meta.text',
  },
  client: {
    flags: `--client <${clients.join('|')}>`,
    help: 'what will load the result: biases it would not read are not fitted',
  },
  architecture: {
    flags: '--as-llama',
    preset: 'llama',
    help: 'write a model that computes what LLaMA does as one, which may have a bias in every linear',
  },
  device: { flags: '--device <name>', help: 'a name of `ballast devices`' },
  devices: {
    flags: '--device <names>',
    help: 'names of `ballast devices`, which share the work; cuda for every GPU',
    parse: nameOrList,
  },
  threads: {
    flags: '--threads <n>',
    help: 'compute threads of a CPU device (default: one per processor)',
    parse: number,
  },
  precision: { flags: '--precision <float32|bfloat16>', help: 'how matrix products are formed' },
  overwrite: { flags: '--overwrite', help: 'replace an existing result' },
  maxShardBytes: {
    flags: '--max-shard-size <size>',
    help: 'size of a weight file at most, such as 500MB',
    parse: byteCount,
    show: bytes,
  },
  embeddingBits: {
    flags: '--embedding-bits <8|16>',
    help: 'of embedding and head in a GGUF file: floats, or 8 as Q8_0',
    parse: number,
  },
  token: { flags: '--token <token>', help: 'hub access token (default: HF_TOKEN)' },
} as const satisfies Record<string, OptionRow>;
