// The worker half of tokenizer.ts: reads one tokenizer and encodes texts, answering messages in order. Even parsing
// belongs here: a tokenizer.json may have 20 MB. Plain JavaScript, because a worker is started from a file, and this
// one must be found beside its caller in the sources and in the package.
// Without tokenizer.json (OPT, GPT-2) vocab.json and merges.txt serve: byte-level BPE, Radford et al. 2019, put into
// the form of https://huggingface.co/docs/tokenizers.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { Tokenizer } from '@huggingface/tokenizers';

const maxBytes = 100_000_000;

/** How many places of a window are tried. */
const mostPlaces = 8;

/**
 * The text of a file, or undefined when there is none.
 * @param {string} name
 */
function read(name) {
  const path = join(workerData.directory, name);
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) return undefined;
  if (size > maxBytes) throw new Error(`${name} has ${size} bytes, more than ${maxBytes}`);
  // Without the mark of its encoding that it may begin with.
  return new TextDecoder().decode(readFileSync(path));
}

/**
 * @param {string} name
 * @returns {Record<string, unknown> | undefined}
 */
function readJson(name) {
  const text = read(name);
  if (text === undefined) return undefined;
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${name} is not JSON (${messageOf(error)})`);
  }
  if (value === null || typeof value !== 'object') throw new Error(`${name} is no JSON object`);
  return value;
}

/** The error for a directory without any file that is read here. */
function missingTokenizer() {
  const other = [
    'tokenizer.model',
    'spiece.model',
    'sentencepiece.bpe.model',
    'vocab.txt',
    'tekken.json',
  ].find((name) => existsSync(join(workerData.directory, name)));
  if (other === undefined) {
    return withRemedy(
      'there is neither tokenizer.json nor vocab.json with merges.txt',
      'copy them from where the model comes from',
    );
  }
  // AutoTokenizer may load tekken.json by a library of its authors, which saves it as it is.
  const loader = other === 'tekken.json' ? 'PreTrainedTokenizerFast' : 'AutoTokenizer';
  return withRemedy(
    `there is only ${other}`,
    `make tokenizer.json of it (in transformers: ${loader}.from_pretrained(directory).save_pretrained(directory))`,
  );
}

/**
 * @param {string} problem
 * @param {string} remedy
 */
function withRemedy(problem, remedy) {
  return Object.assign(new Error(problem), { remedy });
}

/**
 * Tokens that stand for themselves wherever a text has them: those of the vocabulary that settings name as special.
 * @param {Record<string, unknown>} vocab
 * @param {Record<string, unknown>[]} settings
 */
function specialTokens(vocab, settings) {
  const named = settings.flatMap((fields) =>
    ['bos_token', 'eos_token', 'unk_token', 'pad_token', 'additional_special_tokens'].flatMap(
      (name) => fields[name] ?? [],
    ),
  );
  // A name, or an object with the name in `content`.
  const names = named.map((token) =>
    typeof token === 'object' && token !== null && 'content' in token ? token.content : token,
  );
  return [...new Set(names)]
    .filter((name) => typeof name === 'string' && Object.hasOwn(vocab, name))
    .map((content) => ({
      id: vocab[/** @type {string} */ (content)],
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    }));
}

function readByteLevelBpe() {
  const vocab = readJson('vocab.json');
  const merges = read('merges.txt');
  if (vocab === undefined || merges === undefined) {
    throw missingTokenizer();
  }
  const config = readJson('tokenizer_config.json') ?? {};
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: config.add_prefix_space === true,
    trim_offsets: true,
    use_regex: true,
  };
  return {
    version: '1.0',
    added_tokens: specialTokens(vocab, [config, readJson('special_tokens_map.json') ?? {}]),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      vocab,
      merges: merges.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#version')),
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
    },
  };
}

/**
 * The same rule in words that the library reads as the tokenizers of other languages do: its own step for digits knows
 * ASCII's alone, where they have all of Unicode's numbers.
 * @param {any} rule
 * @returns {any}
 */
function withAllDigits(rule) {
  if (Array.isArray(rule?.pretokenizers)) {
    return { ...rule, pretokenizers: rule.pretokenizers.map(withAllDigits) };
  }
  if (rule?.type !== 'Digits') return rule;
  const numbers = rule.individual_digits === true ? '\\p{N}' : '\\p{N}+';
  return { type: 'Split', pattern: { Regex: numbers }, behavior: 'Isolated', invert: false };
}

/**
 * The library runs what it does not know as BPE; one that names no type it tells by its fields.
 * @param {any} model
 */
function expectKnown(model) {
  const type = model?.type ?? 'BPE';
  if (['BPE', 'WordPiece', 'Unigram'].includes(type)) return;
  throw withRemedy(
    `its model is ${type}, not BPE, WordPiece or Unigram`,
    'pass the model with a tokenizer of one of these kinds',
  );
}

function load() {
  const definition = readJson('tokenizer.json') ?? readByteLevelBpe();
  if (!('model' in definition)) throw new Error(`tokenizer.json has no 'model'`);
  expectKnown(definition.model);
  const tokenizer = { ...definition, pre_tokenizer: withAllDigits(definition.pre_tokenizer) };
  return new Tokenizer(tokenizer, readJson('tokenizer_config.json') ?? {});
}

/** @param {Tokenizer} tokenizer */
function vocabularySize(tokenizer) {
  let size = 0;
  for (const id of tokenizer.get_vocab(true).values()) size = Math.max(size, id + 1);
  return size;
}

/**
 * @param {Tokenizer} tokenizer
 * @param {string} text
 */
function encode(tokenizer, text) {
  /** @type {{ ids: unknown[], tokens: string[] }} */
  const { ids, tokens } = tokenizer.encode(text, { add_special_tokens: false });
  // Int32Array would turn an unknown token's `undefined` into 0, a valid id.
  const unknown = ids.findIndex((id) => !Number.isInteger(id));
  if (unknown >= 0) throw new Error(`the vocabulary has no token '${tokens[unknown]}'`);
  const { modelTokens = Infinity } = workerData;
  const foreign = ids.findIndex((id) => /** @type {number} */ (id) >= modelTokens);
  if (foreign >= 0) {
    throw withRemedy(
      `token '${tokens[foreign]}' has the id ${ids[foreign]} but the model has only ${modelTokens} tokens`,
      'pass the model with its own tokenizer and config.json',
    );
  }
  return Int32Array.from(/** @type {number[]} */ (ids));
}

/**
 * Where a window of a text can be cut so that both parts give the tokens of the whole, near its middle: in front of a
 * space, or where the tokenizer puts one before a text, in its place; or behind the end of a sentence that no space follows.
 * @param {Tokenizer} tokenizer
 * @param {string} window
 */
function findCut(tokenizer, window) {
  /** @param {string} text */
  const idsOf = (text) => tokenizer.encode(text, { add_special_tokens: false }).ids;
  const whole = idsOf(window);
  /** @param {number} place */
  const distance = (place) => Math.abs(place - window.length / 2);
  const places = [...window.matchAll(/(?<=\S)\s(?=\S)|(?<=[。！？])(?=\S)/gu)]
    .map(({ index }) => index)
    .sort((a, b) => distance(a) - distance(b))
    .slice(0, mostPlaces);
  for (const end of places) {
    const before = idsOf(window.slice(0, end));
    if (before.some((id, i) => id !== whole[i])) continue;
    for (const begin of [end, end + 1]) {
      if (begin > end && /\S/u.test(window.slice(end, begin))) continue;
      const ids = [...before, ...idsOf(window.slice(begin))];
      if (ids.length === whole.length && ids.every((id, i) => id === whole[i])) {
        return { end, begin };
      }
    }
  }
  return undefined;
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {unknown} error */
function remedyOf(error) {
  return error instanceof Error && 'remedy' in error
    ? error.remedy
    : 'check tokenizer.json and tokenizer_config.json';
}

/** @param {() => Record<string, unknown>} work */
function answer(work) {
  try {
    const reply = work();
    const { ids } = reply;
    const moved = ids instanceof Int32Array ? [/** @type {ArrayBuffer} */ (ids.buffer)] : [];
    parentPort?.postMessage(reply, moved);
  } catch (error) {
    parentPort?.postMessage({ problem: `${messageOf(error)}; ${remedyOf(error)}` });
  }
}

/** @type {Tokenizer} */
let tokenizer;
answer(() => {
  tokenizer = load();
  return { vocabularySize: vocabularySize(tokenizer) };
});
parentPort?.on('message', ({ text, window }) =>
  answer(() =>
    window === undefined ? { ids: encode(tokenizer, text) } : { cut: findCut(tokenizer, window) },
  ),
);
