// What defines a tokenizer on disk: tokenizer.json, or, in older directories such as those of OPT and GPT-2, the pair
// vocab.json and merges.txt, which is byte-level BPE and is put into the form of tokenizer.json here.
// Source: Radford et al. 2019 (byte-level BPE); https://huggingface.co/docs/tokenizers for the form.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BallastError } from '../errors.js';
import { isRecord, readJsonObject } from './bounded-json.js';
import { ioError } from './io-error.js';

export interface TokenizerFiles {
  /** The content of tokenizer.json. */
  readonly definition: Record<string, unknown>;
  /** The content of tokenizer_config.json, or an empty object. */
  readonly config: Record<string, unknown>;
}

export async function readTokenizerFiles(directory: string): Promise<TokenizerFiles> {
  const config = (await readJsonObject(join(directory, 'tokenizer_config.json'))) ?? {};
  const definition =
    (await readJsonObject(join(directory, 'tokenizer.json'))) ??
    (await readByteLevelBpe(directory));
  if (definition === undefined) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected tokenizer.json, or vocab.json with merges.txt, in ${directory} but there is none; ` +
        'copy the tokenizer of the model there.',
    );
  }
  if (!isRecord(definition.model)) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected a 'model' in ${join(directory, 'tokenizer.json')} but there is none; download the file again.`,
    );
  }
  return { definition, config };
}

async function readByteLevelBpe(directory: string): Promise<Record<string, unknown> | undefined> {
  const vocab = await readJsonObject(join(directory, 'vocab.json'));
  if (vocab === undefined) return undefined;
  const path = join(directory, 'merges.txt');
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw ioError(error, 'reading merges.txt', path);
  });
  const merges = text.split('\n').filter((line) => line !== '' && !line.startsWith('#version'));
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: true,
  };
  return {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: 'BPE', vocab, merges, continuing_subword_prefix: '', end_of_word_suffix: '' },
  };
}
