// Rules that cut text into words, under the names by which GGUF files call them, in llama.cpp itself: with a token for every two
// neighbouring bytes of a text, tokens show where words end.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { loadTokenizer } from '../../lib/checkpoint/tokenizer/tokenizer.js';
import { Device } from '../../lib/device/index.js';
import { GgufFile } from '../../lib/export/gguf/file-reader.js';
import { hasShared, sharedText } from '../places.js';
import { hasClient, type Llama, openLlama } from './llama-client.js';
import { byteAlphabet, exportRandom, randomLlama } from './random-llama.js';

const oddText =
  "naïve café — 12345\n\n  x\t“”  again, don't; I'LL WE'RE o'clock\r\n\r\n   1234567.89 ３４ ½ Ⅻ\n" +
  'snake_case camelCase HTTPServer a/b//c.\n/ path #!/bin/sh  ...\n\n\nif (x)\n\t\treturn 日本語のテスト한국어;  ';

const byteLevel = (use_regex: boolean) => ({
  ...{ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex },
});
const split = (Regex: string) => ({
  type: 'Sequence',
  pretokenizers: [
    { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false },
    byteLevel(false),
  ],
});

const english = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const line = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const llama3 = `${english}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${line}`;
const small =
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+';
const large =
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*';
const paths = ` ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${line}`;

const bloom = ' ?[^(\\s|[.,!?…。，、।۔،])]+';

const rules: [string, object, boolean?][] = [
  ['gpt-2', byteLevel(true)],
  [
    'smollm',
    {
      type: 'Sequence',
      pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel(true)],
    },
  ],
  ['dbrx', split(llama3)],
  ['llama-bpe', split(llama3), true],
  ['qwen2', split(llama3.replace('{1,3}', ''))],
  [
    'qwen35',
    split(
      `${english}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${line}`,
    ),
  ],
  [
    'seed-coder',
    split(
      `${english}|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\r\n]+|\\s*[\r\n]+|\\s+(?!\\S)|\\s+`,
    ),
  ],
  ['bloom', split(bloom)],
  ['tekken', split(`${small}|${large}|\\p{N}|${paths}`), true],
  ['gpt-4o', split(`${small}${english}?|${large}${english}?|\\p{N}{1,3}|${paths}`)],
];

/** A tokenizer with a token for every two neighbouring bytes of the texts. */
function pairTokenizer(texts: readonly string[], pre_tokenizer: object, ignore_merges: boolean) {
  const pairs = new Set<string>();
  for (const text of texts) {
    const letters = Array.from(Buffer.from(text), (byte) => byteAlphabet[byte] ?? '');
    letters.forEach((letter, i) => void (i > 0 && pairs.add(`${letters[i - 1]} ${letter}`)));
  }
  const merges = [...pairs].map((pair) => pair.split(' '));
  const tokens = [...byteAlphabet, ...merges.map((pair) => pair.join(''))];
  return {
    tokens: tokens.length,
    json: {
      ...{ version: '1.0', added_tokens: [], normalizer: null, post_processor: null },
      ...{ pre_tokenizer, decoder: byteLevel(true) },
      model: {
        ...{ type: 'BPE', ignore_merges, merges },
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      },
    },
  };
}

describe.skipIf(!(hasClient && hasShared))('llama.cpp', () => {
  let llama: Llama;
  let texts: string[];
  beforeAll(async () => {
    llama = await openLlama();
    const wikitext = readFileSync(sharedText('wikitext2-test'), 'utf8').slice(0, 20_000);
    const book = readFileSync(sharedText('books-heldout'), 'utf8').slice(0, 20_000);
    texts = [oddText, wikitext, book];
  });

  it.each(rules)('cuts words by %s as we do', async (name, rule, ignoreMerges = false) => {
    const { tokens, json } = pairTokenizer(texts, rule, ignoreMerges);
    const { directory } = await randomLlama({
      vocab_size: tokens,
      bos_token_id: 0,
      eos_token_id: 0,
    });
    writeFileSync(join(directory, 'tokenizer.json'), JSON.stringify(json));
    writeFileSync(join(directory, 'tokenizer_config.json'), '{}');
    const device = Device.open('cpu');
    const made = await exportRandom(device, await Checkpoint.open(directory), 'gguf');
    device.close();
    const path = join(made.directory, 'model.gguf');
    expect((await GgufFile.open(path)).values['tokenizer.ggml.pre']).toBe(name);

    const model = await llama.loadModel({ modelPath: path });
    // The tokenizer that runs here knows no sets within sets.
    const own = JSON.stringify(json).replace('[.,!?…。，、।۔،]', '.,!?…。，、।۔،');
    writeFileSync(join(directory, 'tokenizer.json'), own);
    const tokenizer = await loadTokenizer(directory);
    for (const text of texts) {
      expect(model.tokenize(text, true)).toEqual([...(await tokenizer.encode(text))]);
    }
    await Promise.all([tokenizer.close(), model.dispose()]);
  });
});
