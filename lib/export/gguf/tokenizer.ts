// The tokenizer of a checkpoint as GGUF metadata: every token with its type, merges, special ids. Two kinds exist in
// models of this family: byte-level BPE ('gpt2', with the name of the rule that cuts text into words) and the
// SentencePiece kind with byte fallback ('llama', where scores give the order of merges). What is not known exactly is
// refused: a client that tokenizes differently gives worse answers without a word.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRecord, readJsonObject } from '../../checkpoint/bounded-json.js';
import { BallastError } from '../../errors.js';
import { bool, float32s, int32s, type Metadata, string, strings, uint32 } from './metadata.js';
import { readPreTokenizer, refused } from './pre-tokenizer.js';

type Json = Readonly<Record<string, unknown>>;

/** llama.cpp's numbers. */
const tokenTypes = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

interface Vocabulary {
  readonly tokens: string[];
  readonly types: number[];
  readonly ids: ReadonlyMap<string, number>;
}

/** Errors: ERR_CHECKPOINT without tokenizer.json, ERR_UNSUPPORTED for a kind that GGUF metadata cannot say. */
export async function tokenizerMetadata(
  directory: string,
  config: Json,
  vocabularySize: number,
): Promise<Metadata> {
  const path = join(directory, 'tokenizer.json');
  const tokenizer = await readJsonObject(path);
  const model = tokenizer?.model;
  if (tokenizer === undefined || !isRecord(model) || !isRecord(model.vocab)) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected a tokenizer.json with a vocabulary in ${directory} for format gguf; save the tokenizer with a recent ` +
        'version of transformers.',
    );
  }
  if (model.type !== 'BPE') throw refused(path, `the model ${model.type}`);
  const settings = (await readJsonObject(join(directory, 'tokenizer_config.json'))) ?? {};
  const vocabulary = readVocabulary(tokenizer, model.vocab, vocabularySize, path);
  const merges = readMerges(model.merges);
  const fallback = model.byte_fallback === true;
  return {
    ...(fallback
      ? sentencePiece(tokenizer, vocabulary, merges)
      : {
          'tokenizer.ggml.model': string('gpt2'),
          'tokenizer.ggml.pre': string(readPreTokenizer(tokenizer, path)),
          'tokenizer.ggml.merges': strings(merges.map((pair) => pair.join(' '))),
        }),
    'tokenizer.ggml.tokens': strings(vocabulary.tokens),
    'tokenizer.ggml.token_type': int32s(vocabulary.types),
    ...specialIds(settings, config, vocabulary),
    ...(await chatTemplate(directory, settings)),
    ...addedAutomatically(tokenizer, settings, config, vocabulary),
  };
}

function readVocabulary(tokenizer: Json, vocab: Json, size: number, path: string): Vocabulary {
  const tokens = Array.from({ length: size }, (_, id) => `[PAD${id}]`);
  const types = new Array<number>(size).fill(tokenTypes.unused);
  const ids = new Map<string, number>();
  const add = (text: string, id: unknown, type: number) => {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= size) {
      throw new BallastError(
        'ERR_CHECKPOINT',
        `Expected ids below the vocabulary's ${size} in ${path} but token '${text}' has ${id}; ` +
          'tokenizer.json and config.json belong to different models.',
      );
    }
    tokens[id] = text;
    types[id] = type;
    ids.set(text, id);
  };
  const { unk_token: unknown } = tokenizer.model as Json;
  for (const [text, id] of Object.entries(vocab)) {
    const isByte =
      /^<0x[0-9A-F]{2}>$/.test(text) && (tokenizer.model as Json).byte_fallback === true;
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

/** Written as pairs, or as text with one space between in older files. */
function readMerges(merges: unknown): [string, string][] {
  return (Array.isArray(merges) ? merges : []).map((merge) => {
    const [left = '', right = ''] = Array.isArray(merge) ? merge : String(merge).split(' ');
    return [left, right];
  });
}

/** A token's score is minus the place of the first merge that makes it: the best score is merged first. */
function sentencePiece(
  { normalizer, pre_tokenizer: cut }: Json,
  { tokens, ids }: Vocabulary,
  merges: readonly (readonly [string, string])[],
): Metadata {
  const scores = new Array<number>(tokens.length).fill(0);
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

const specialTokens = { bos: 'bos', eos: 'eos', unknown: 'unk', padding: 'pad' } as const;

/** tokenizer_config.json names tokens, config.json numbers them; the former is the tokenizer's own. */
function specialId(name: string, settings: Json, config: Json, { ids }: Vocabulary) {
  const token = settings[`${name}_token`];
  const text = isRecord(token) ? token.content : token;
  const named = typeof text === 'string' ? ids.get(text) : undefined;
  const numbered = config[`${name}_token_id`];
  const first = Array.isArray(numbered) ? numbered[0] : numbered;
  return named ?? (typeof first === 'number' && first >= 0 ? first : undefined);
}

function specialIds(settings: Json, config: Json, vocabulary: Vocabulary): Metadata {
  return Object.fromEntries(
    Object.entries(specialTokens).flatMap(([key, name]) => {
      const id = specialId(name, settings, config, vocabulary);
      return id === undefined ? [] : [[`tokenizer.ggml.${key}_token_id`, uint32(id)]];
    }),
  );
}

/** Whether texts get a first or last special token: what the post-processor's template for one text says. */
function addedAutomatically(
  { post_processor: processor }: Json,
  settings: Json,
  config: Json,
  vocabulary: Vocabulary,
): Metadata {
  const steps =
    isRecord(processor) && Array.isArray(processor.processors) ? processor.processors : [processor];
  const template = steps.find((step) => isRecord(step) && step.type === 'TemplateProcessing');
  const single = isRecord(template) && Array.isArray(template.single) ? template.single : [];
  const idAt = (item: unknown) => {
    const special =
      isRecord(item) && isRecord(item.SpecialToken) ? item.SpecialToken.id : undefined;
    return typeof special === 'string' ? vocabulary.ids.get(special) : undefined;
  };
  const adds = (name: string, item: unknown) => {
    const id = specialId(name, settings, config, vocabulary);
    const setting = settings[`add_${name}_token`];
    return typeof setting === 'boolean' ? setting : id !== undefined && idAt(item) === id;
  };
  return {
    'tokenizer.ggml.add_bos_token': bool(adds('bos', single[0])),
    'tokenizer.ggml.add_eos_token': bool(single.length > 1 && adds('eos', single.at(-1))),
  };
}

async function chatTemplate(directory: string, settings: Json): Promise<Metadata> {
  const file = await readFile(join(directory, 'chat_template.jinja'), 'utf8').catch(
    () => undefined,
  );
  const template = file ?? settings.chat_template;
  return typeof template === 'string' ? { 'tokenizer.chat_template': string(template) } : {};
}
