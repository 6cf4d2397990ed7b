import { existsSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadTokenizer } from '../../lib/checkpoint/tokenizer/tokenizer.js';
import { temporaryFolder } from '../places.js';

/** Byte-level BPE with the letters a, b, a space (Ġ) and three merges. */
const model = {
  vocab: { a: 0, b: 1, Ġ: 2, ab: 3, Ġa: 4, Ġab: 5 },
  merges: ['a b', 'Ġ a', 'Ġ ab'],
};
const definition = {
  version: '1.0',
  added_tokens: [{ id: 6, content: '</s>', special: true }],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '</s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: { '</s>': { id: '</s>', ids: [6], tokens: ['</s>'] } },
  },
  decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', ...model },
};

async function tokenizerFrom(files: Record<string, string>) {
  const directory = await temporaryFolder();
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  const tokenizer = await loadTokenizer(directory);
  onTestFinished(() => tokenizer.close());
  return tokenizer;
}

describe('loadTokenizer', () => {
  it('encodes without special tokens, in order of the calls', async () => {
    const tokenizer = await tokenizerFrom({ 'tokenizer.json': JSON.stringify(definition) });
    expect(tokenizer.vocabularySize).toBe(7);
    const texts = ['ab ab', '', 'b a'];
    const ids = await Promise.all(texts.map((text) => tokenizer.encode(text)));
    expect(ids).toEqual([[3, 5], [], [1, 4]].map((list) => Int32Array.from(list)));
  });

  it.each([
    ['between words', {}, [3], 5],
    // As SentencePiece does: the space of a text's first word is the tokenizer's own.
    ['after a space that the tokenizer adds', { type: 'Prepend', prepend: ' ' }, [5], 5],
    // No text can be cut that is given another letter in front.
    ['nowhere', { type: 'Prepend', prepend: 'b' }, [1, 3], 5],
  ])('encodes a long text as if whole, cut %s', async (_, normalizer, first, rest) => {
    const tokenizer = await tokenizerFrom({
      'tokenizer.json': JSON.stringify({
        ...definition,
        normalizer: 'type' in normalizer ? normalizer : null,
      }),
    });
    const words = 400_000;
    const ids = await tokenizer.encode(`ab${' ab'.repeat(words)}`);
    const expected = new Int32Array(first.length + words).fill(rest);
    expected.set(first);
    // Not by toEqual, which takes seconds for so many.
    expect(Buffer.compare(Buffer.from(ids.buffer), Buffer.from(expected.buffer))).toBe(0);
  });

  it('reads vocab.json and merges.txt where there is no tokenizer.json', async () => {
    const merges = `#version: 0.2\n${model.merges.join('\n')}\n`;
    const tokenizer = await tokenizerFrom({
      'vocab.json': JSON.stringify(model.vocab),
      'merges.txt': merges,
    });
    expect(await tokenizer.encode('ab ab')).toEqual(Int32Array.of(3, 5));
  });

  it('keeps special tokens of such a vocabulary whole, by either file that names them', async () => {
    const vocab = { ...model.vocab, '<': 10, '/': 11, s: 12, '>': 13, '</s>': 14, '<a>': 15 };
    const files = { 'vocab.json': JSON.stringify(vocab), 'merges.txt': model.merges.join('\n') };
    const eos = { content: '</s>', lstrip: false };
    const tokenizer = await tokenizerFrom({
      ...files,
      'tokenizer_config.json': JSON.stringify({ eos_token: eos, pad_token: '<none>' }),
      'special_tokens_map.json': JSON.stringify({ additional_special_tokens: ['<a>'] }),
    });
    expect(await tokenizer.encode('ab</s><a>ab')).toEqual(Int32Array.of(3, 14, 15, 3));
    const plain = await tokenizerFrom(files);
    expect(await plain.encode('ab</s>')).toEqual(Int32Array.of(3, 10, 11, 12, 13));
  });

  // Tokens as tokenizers 0.23 gives them (Rust).
  it.each([
    [true, ['a', '１', '２', 'a', '½', 'Ⅻ', '1', '½', 'a', '٣']],
    [false, ['a', '１２', 'a', '½Ⅻ', '1½', 'a', '٣']],
  ])('cuts at numbers of every script, each alone: %s', async (individual_digits, expected) => {
    const tokens = [...'a１２1½Ⅻ٣', '１２', '½Ⅻ', 'a½', '1½'];
    const digits = { type: 'Digits', individual_digits };
    const tokenizer = await tokenizerFrom({
      'tokenizer.json': JSON.stringify({
        ...{ ...definition, added_tokens: [], post_processor: null, decoder: null },
        pre_tokenizer: { type: 'Sequence', pretokenizers: [digits] },
        model: {
          type: 'BPE',
          vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
          merges: [...'１½a1'].map((left, i) => [left, [...'２Ⅻ½½'][i]]),
        },
      }),
    });
    const ids = await tokenizer.encode('a１２a½Ⅻ1½a٣');
    expect([...ids].map((id) => tokens[id])).toEqual(expected);
  });

  it('refuses what is missing, damaged or unknown', async () => {
    const cases: [Record<string, string>, RegExp][] = [
      [{}, /neither tokenizer.json nor vocab.json with merges.txt; copy them/],
      [{ 'tokenizer.model': '' }, /only tokenizer.model; make tokenizer.json of it/],
      [{ 'tekken.json': '{}' }, /only tekken.json; .*PreTrainedTokenizerFast/],
      [{ 'tokenizer.json': '{' }, /tokenizer.json is not JSON/],
      [{ 'tokenizer.json': '1' }, /tokenizer.json is no JSON object/],
      [{ 'tokenizer.json': '{}' }, /tokenizer.json has no 'model'/],
      [
        { 'tokenizer.json': '{"model": {"type": "BPE"}}' },
        /cannot be used: .*check tokenizer.json/,
      ],
      [
        { 'tokenizer.json': '{"model": {"type": "WordLevel", "vocab": {"a": 0}}}' },
        /its model is WordLevel, not BPE, WordPiece or Unigram; pass the model with/,
      ],
      [{ 'vocab.json': '{}' }, /neither/],
    ];
    for (const [files, message] of cases) {
      await expect(tokenizerFrom(files)).rejects.toThrow(message);
    }
  });

  it('rejects a text with a token outside the vocabulary and goes on', async () => {
    const model = { type: 'WordPiece', vocab: { a: 0 }, unk_token: '[UNK]' };
    const words = { ...definition, model, pre_tokenizer: { type: 'WhitespaceSplit' } };
    const tokenizer = await tokenizerFrom({ 'tokenizer.json': JSON.stringify(words) });
    await expect(tokenizer.encode('a b')).rejects.toThrow(/vocabulary has no token/);
    expect(await tokenizer.encode('a a')).toEqual(Int32Array.of(0, 0));
  });

  it('leaves the rest of a long text where its first tokens are enough', async () => {
    const tokenizer = await tokenizerFrom({ 'tokenizer.json': JSON.stringify(definition) });
    const words = Array.from({ length: 900_000 }, (_, i) => (i % 7 < 3 ? 'ab' : 'a'));
    const text = words.join(' ');
    const all = await tokenizer.encode(text);
    const first = await tokenizer.encode(text, 1000);
    expect(first.length).toBeGreaterThanOrEqual(1000);
    expect(first.length).toBeLessThan(all.length);
    expect(first).toEqual(all.subarray(0, first.length));
    expect(await tokenizer.encode(text, 1e9)).toEqual(all);
  });

  it('ends when a signal fires, before it has loaded or in the middle of a text', async () => {
    const directory = await temporaryFolder();
    await writeFile(join(directory, 'tokenizer.json'), JSON.stringify(definition));
    await expect(loadTokenizer(directory, { signal: AbortSignal.abort() })).rejects.toThrow(
      /it was closed/,
    );
    const controller = new AbortController();
    const tokenizer = await loadTokenizer(directory, { signal: controller.signal });
    const long = tokenizer.encode('ab '.repeat(1e7));
    controller.abort();
    await expect(long).rejects.toThrow(/it was closed/);
  });

  it('refuses a text with a token that the model does not know', async () => {
    const directory = await temporaryFolder();
    await writeFile(join(directory, 'tokenizer.json'), JSON.stringify(definition));
    const tokenizer = await loadTokenizer(directory, { modelTokens: 5 });
    onTestFinished(() => tokenizer.close());
    expect(await tokenizer.encode('ab')).toEqual(Int32Array.of(3));
    await expect(tokenizer.encode('a ab')).rejects.toMatchObject({
      code: 'ERR_CHECKPOINT',
      message: expect.stringMatching(
        /token 'Ġab' has the id 5 but the model has only 5 tokens; pass/,
      ),
    });
  });

  it('rejects what comes after close', async () => {
    const tokenizer = await tokenizerFrom({ 'tokenizer.json': JSON.stringify(definition) });
    await tokenizer.close();
    await expect(tokenizer.encode('ab')).rejects.toThrow(/it was closed/);
  });
});

const shared = '../shared';
describe.skipIf(!existsSync(shared))('on a trained model', () => {
  it('gives the golden first tokens and keeps the event loop turning', async () => {
    const golden = JSON.parse(readFileSync(join(shared, 'golden/opt-7m.json'), 'utf8'));
    const tokenizer = await loadTokenizer(join(shared, 'models/opt-7m'));
    onTestFinished(() => tokenizer.close());
    expect(tokenizer.vocabularySize).toBe(8192);
    for (const [name, first] of Object.entries<number[]>(golden.first_tokens)) {
      const ids = await tokenizer.encode(
        await readFile(join(shared, 'data', `${name}.txt`), 'utf8'),
      );
      expect([...ids.subarray(0, first.length)]).toEqual(first);
      expect(ids.length).toBe(golden.tokens[name]);
    }
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const text = await readFile(join(shared, 'data/books-calib.txt'), 'utf8');
    const encoding = tokenizer.encode(text);
    const turnsBefore = turns;
    const ids = await encoding;
    clearInterval(timer);
    expect([...ids.subarray(0, 16)]).toEqual(golden.calibration.first_tokens);
    // Blocked for the whole text, not one turn would pass between the call and its result.
    expect(turns - turnsBefore).toBeGreaterThan(10);
  });
});
