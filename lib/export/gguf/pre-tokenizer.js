// The rule by which a byte-level tokenizer cuts text into words, by the name that llama.cpp has for it: regular expressions that
// cut one after the other. A tokenizer with other ones cannot be described in a GGUF file. Where llama.cpp has several names for
// one rule, this is one whose tokens become the text again that they were made of. Source: llama.cpp's llama-vocab.cpp. Plain
// JavaScript, because a worker thread reads it.

import { isRecord } from '../../checkpoint/json-text.js';

const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const spaces = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const rest = ` ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${spaces}`;
const restOfPaths = ` ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${spaces}`;
const words = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+';
const upper = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const lower = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
const small = `[^\\r\\n\\p{L}\\p{N}]?${upper}*${lower}+`;
const large = `[^\\r\\n\\p{L}\\p{N}]?${upper}+${lower}*`;

const llama3 = `${contractions}|${words}|\\p{N}{1,3}|${rest}`;

/** Of BLOOM: words with the space before them, in a set within a set. */
const bloom = ' ?[^(\\s|[.,!?…。，、।۔،])]+';

/** By the expression of the only step before bytes. llama.cpp's own for tekken and gpt-4o takes marks for no letters. */
const names = new Map([
  [bloom, 'bloom'],
  [llama3, 'dbrx'],
  [`${contractions}|${words}|\\p{N}|${rest}`, 'qwen2'],
  [
    `${contractions}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${spaces}`,
    'qwen35',
  ],
  [`${contractions}|${words}|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|${spaces}`, 'seed-coder'],
  [`${small}|${large}|\\p{N}|${restOfPaths}`, 'tekken'],
  [`${small}${contractions}?|${large}${contractions}?|\\p{N}{1,3}|${restOfPaths}`, 'gpt-4o'],
]);

/**
 * Undefined for a rule that has no name.
 * @param {Readonly<Record<string, any>>} tokenizer
 * @returns {string | undefined}
 */
export function readPreTokenizer({ pre_tokenizer: cut, normalizer, model }) {
  const parts = Array.isArray(cut?.pretokenizers) ? cut.pretokenizers : [cut];
  /** @type {Readonly<Record<string, any>>[]} */
  const steps = parts.filter(isRecord);
  const byteLevel = steps.at(-1);
  if (byteLevel?.type !== 'ByteLevel' || byteLevel.add_prefix_space === true) return undefined;
  // Texts are hardly ever in another form than this.
  if (normalizer != null && normalizer.type !== 'NFC') return undefined;
  const [first, ...others] = steps.slice(0, -1);
  const splitsWords = byteLevel.use_regex !== false;
  if (first === undefined) return splitsWords ? 'gpt-2' : undefined;
  if (others.length > 0) return undefined;
  if (first.type === 'Digits') {
    return splitsWords && first.individual_digits === true ? 'smollm' : undefined;
  }
  const rule = splitsWords ? undefined : expression(first);
  // Words that are tokens are not put together by merges.
  return rule === llama3 && model?.ignore_merges === true ? 'llama-bpe' : names.get(rule ?? '');
}

/**
 * Of a step that cuts out what matches, with line ends as escapes.
 * @param {Readonly<Record<string, any>>} step
 * @returns {string | undefined}
 */
function expression({ type, pattern, behavior, invert }) {
  const kept = behavior === 'Isolated' || (behavior === 'Removed' && invert === true);
  if (type !== 'Split' || !kept || typeof pattern?.Regex !== 'string') return undefined;
  return pattern.Regex.replaceAll('\r', '\\r').replaceAll('\n', '\\n');
}
