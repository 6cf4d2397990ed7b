// The rule by which a byte-level tokenizer cuts text into words, by the name that llama.cpp has for it. Each is one
// regular expression; a tokenizer with another one cannot be described in a GGUF file. Plain JavaScript, because a worker
// thread reads it.

import { isRecord } from '../../checkpoint/json-text.js';

const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const rest = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const words = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+';

/** @type {ReadonlyMap<unknown, string>} */
const names = new Map([
  [`${contractions}|${words}|\\p{N}{1,3}|${rest}`, 'llama-bpe'],
  [`${contractions}|${words}|\\p{N}|${rest}`, 'qwen2'],
]);

/**
 * Undefined for a rule that has no name.
 * @param {Readonly<Record<string, any>>} tokenizer
 * @returns {string | undefined}
 */
export function readPreTokenizer({ pre_tokenizer: cut, normalizer }) {
  const parts = Array.isArray(cut?.pretokenizers) ? cut.pretokenizers : [cut];
  /** @type {Readonly<Record<string, any>>[]} */
  const steps = parts.filter(isRecord);
  const byteLevel = steps.find(({ type }) => type === 'ByteLevel');
  if (byteLevel === undefined || byteLevel.add_prefix_space === true || steps.length > 2) {
    return undefined;
  }
  // Without a rule of its own, that of GPT-2.
  if (steps.length === 1 && byteLevel.use_regex !== false && normalizer == null) return 'gpt-2';
  return names.get(steps.find(({ type }) => type === 'Split')?.pattern?.Regex);
}
