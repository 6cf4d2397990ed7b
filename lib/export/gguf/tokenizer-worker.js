// The worker half of tokenizer.ts: every token with its type, merges, special ids, as GGUF metadata. Two kinds exist in
// models of this family: byte-level BPE ('gpt2', with the name of the rule that cuts text into words) and the
// SentencePiece kind with byte fallback ('llama', where scores give the order of merges). What is not known exactly is
// refused: a client that tokenizes differently gives worse answers without a word. Plain JavaScript, because a worker is
// started from a file, and this one must be found beside its caller in the sources and in the package.

import { parentPort, workerData } from 'node:worker_threads';
import { isRecord, parseObject } from '../../checkpoint/json-text.js';
import { bool, encodeValue, float32s, int32s, string, strings, uint32 } from './metadata.js';
import { readPreTokenizer } from './pre-tokenizer.js';

/**
 * @typedef {Readonly<Record<string, any>>} Json
 * @typedef {import('./metadata.js').Metadata} Metadata
 * @typedef {{ tokens: string[], types: number[], ids: Map<string, number> }} Vocabulary
 */

/** @type {import('./tokenizer.js').Question} */
const { path, tokenizerBytes, settings, template, config, vocabularySize } = workerData;

/** llama.cpp's numbers. */
const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 };

/**
 * An error of this code.
 * @param {import('../../errors.js').ErrorCode} code
 * @param {string} message
 */
function problem(code, message) {
  return Object.assign(new Error(message), { code });
}

/** @param {string} received */
function refused(received) {
  return problem(
    'ERR_UNSUPPORTED',
    'Expected a byte-level or byte-fallback BPE tokenizer that llama.cpp knows for format gguf but ' +
      `${path} has ${received}; use format huggingface or compressed-tensors.`,
  );
}

/** @returns {Metadata} */
function tokenizerMetadata() {
  const tokenizer = parseObject(tokenizerBytes, path);
  const { model } = tokenizer;
  if (!isRecord(model) || !isRecord(model.vocab)) {
    throw problem(
      'ERR_CHECKPOINT',
      `Expected a vocabulary in ${path} for format gguf; save the tokenizer with a recent version of transformers.`,
    );
  }
  if (model.type !== 'BPE') throw refused(`the model ${model.type}`);
  const vocabulary = readVocabulary(tokenizer, model.vocab);
  const merges = readMerges(model.merges);
  return {
    ...(model.byte_fallback === true
      ? sentencePiece(tokenizer, vocabulary, merges)
      : byteLevel(tokenizer, merges)),
    'tokenizer.ggml.tokens': strings(vocabulary.tokens),
    'tokenizer.ggml.token_type': int32s(vocabulary.types),
    ...specialIds(vocabulary),
    ...(template === undefined ? {} : { 'tokenizer.chat_template': string(template) }),
    ...addedAutomatically(tokenizer, vocabulary),
  };
}

/**
 * @param {Json} tokenizer
 * @param {Json} vocab
 * @returns {Vocabulary}
 */
function readVocabulary(tokenizer, vocab) {
  const tokens = Array.from({ length: vocabularySize }, (_, id) => `[PAD${id}]`);
  /** @type {number[]} */
  const types = new Array(vocabularySize).fill(tokenTypes.unused);
  /** @type {Map<string, number>} */
  const ids = new Map();
  /** @type {(text: string, id: unknown, type: number) => void} */
  const add = (text, id, type) => {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= vocabularySize) {
      throw problem(
        'ERR_CHECKPOINT',
        `Expected ids below the vocabulary's ${vocabularySize} in ${path} but token '${text}' has ${id}; ` +
          'tokenizer.json and config.json belong to different models.',
      );
    }
    tokens[id] = text;
    types[id] = type;
    ids.set(text, id);
  };
  const { unk_token: unknown, byte_fallback: fallback } = tokenizer.model;
  for (const [text, id] of Object.entries(vocab)) {
    const isByte = fallback === true && /^<0x[0-9A-F]{2}>$/.test(text);
    add(text, id, isByte ? tokenTypes.byte : tokenTypes.normal);
  }
  for (const added of Array.isArray(tokenizer.added_tokens) ? tokenizer.added_tokens : []) {
    if (!isRecord(added) || typeof added.content !== 'string') continue;
    add(added.content, added.id, added.special ? tokenTypes.control : tokenTypes.userDefined);
  }
  const unknownId = typeof unknown === 'string' ? ids.get(unknown) : undefined;
  if (unknownId !== undefined) types[unknownId] = tokenTypes.unknown;
  return { tokens, types, ids };
}

/**
 * Written as pairs, or as text with one space between in older files.
 * @param {unknown} merges
 * @returns {[string, string][]}
 */
function readMerges(merges) {
  return (Array.isArray(merges) ? merges : []).map((merge) => {
    const [left = '', right = ''] = Array.isArray(merge) ? merge : String(merge).split(' ');
    return [left, right];
  });
}

/**
 * @param {Json} tokenizer
 * @param {readonly (readonly [string, string])[]} merges
 * @returns {Metadata}
 */
function byteLevel(tokenizer, merges) {
  const rule = readPreTokenizer(tokenizer);
  if (rule === undefined) {
    throw refused(`the pre-tokenizer ${JSON.stringify(tokenizer.pre_tokenizer)}`);
  }
  return {
    'tokenizer.ggml.model': string('gpt2'),
    'tokenizer.ggml.pre': string(rule),
    'tokenizer.ggml.merges': strings(merges.map((pair) => pair.join(' '))),
  };
}

/**
 * A token's score is minus the place of the first merge that makes it: the best score is merged first.
 * @param {Json} tokenizer
 * @param {Vocabulary} vocabulary
 * @param {readonly (readonly [string, string])[]} merges
 * @returns {Metadata}
 */
function sentencePiece({ normalizer, pre_tokenizer: cut }, { tokens, ids }, merges) {
  /** @type {number[]} */
  const scores = new Array(tokens.length).fill(0);
  for (const [rank, [left, right]] of merges.entries()) {
    const id = ids.get(`${left}${right}`);
    if (id !== undefined && scores[id] === 0) scores[id] = -(rank + 1);
  }
  const prefixed = /"Prepend"|"prepend_scheme":"(first|always)"/.test(
    JSON.stringify([normalizer, cut]),
  );
  return {
    'tokenizer.ggml.model': string('llama'),
    'tokenizer.ggml.pre': string('default'),
    'tokenizer.ggml.scores': float32s(scores),
    'tokenizer.ggml.add_space_prefix': bool(prefixed),
  };
}

const specialTokens = { bos: 'bos', eos: 'eos', unknown: 'unk', padding: 'pad' };

/**
 * tokenizer_config.json names tokens, config.json numbers them; the former is the tokenizer's own.
 * @param {string} name
 * @param {Vocabulary} vocabulary
 * @returns {number | undefined}
 */
function specialId(name, { ids }) {
  const token = settings[`${name}_token`];
  const text = isRecord(token) ? token.content : token;
  const named = typeof text === 'string' ? ids.get(text) : undefined;
  const numbered = config[`${name}_token_id`];
  const first = Array.isArray(numbered) ? numbered[0] : numbered;
  return named ?? (typeof first === 'number' && first >= 0 ? first : undefined);
}

/**
 * @param {Vocabulary} vocabulary
 * @returns {Metadata}
 */
function specialIds(vocabulary) {
  return Object.fromEntries(
    Object.entries(specialTokens).flatMap(([key, name]) => {
      const id = specialId(name, vocabulary);
      return id === undefined ? [] : [[`tokenizer.ggml.${key}_token_id`, uint32(id)]];
    }),
  );
}

/**
 * Whether texts get a first or last special token: what the post-processor's template for one text says.
 * @param {Json} tokenizer
 * @param {Vocabulary} vocabulary
 * @returns {Metadata}
 */
function addedAutomatically({ post_processor: processor }, vocabulary) {
  const steps =
    isRecord(processor) && Array.isArray(processor.processors) ? processor.processors : [processor];
  const single = steps.find((step) => isRecord(step) && step.type === 'TemplateProcessing')?.single;
  const items = Array.isArray(single) ? single : [];
  /** @type {(name: string, item: any) => boolean} */
  const adds = (name, item) => {
    const setting = settings[`add_${name}_token`];
    if (typeof setting === 'boolean') return setting;
    const id = specialId(name, vocabulary);
    const special = item?.SpecialToken?.id;
    return id !== undefined && typeof special === 'string' && vocabulary.ids.get(special) === id;
  };
  return {
    'tokenizer.ggml.add_bos_token': bool(adds('bos', items[0])),
    'tokenizer.ggml.add_eos_token': bool(items.length > 1 && adds('eos', items.at(-1))),
  };
}

/** @returns {import('./tokenizer.js').Reply} */
function answer() {
  try {
    const metadata = tokenizerMetadata();
    const values = Object.entries(metadata).map(([name, value]) => [name, encodeValue(value)]);
    return { values: Object.fromEntries(values) };
  } catch (error) {
    const { message, code } = /** @type {import('../../errors.js').BallastError} */ (error);
    return { problem: message, code };
  }
}

parentPort?.postMessage(answer());
