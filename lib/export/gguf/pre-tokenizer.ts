// The rule by which a byte-level tokenizer cuts text into words, by the name that llama.cpp has for it. Each is one
// regular expression; a tokenizer with another one cannot be described in a GGUF file.

import { isRecord } from '../../checkpoint/bounded-json.js';
import { BallastError } from '../../errors.js';

const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const rest = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const words = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+';

const names: ReadonlyMap<string, string> = new Map([
  [`${contractions}|${words}|\\p{N}{1,3}|${rest}`, 'llama-bpe'],
  [`${contractions}|${words}|\\p{N}|${rest}`, 'qwen2'],
]);

/** Error ERR_UNSUPPORTED for a rule that has no name. */
export function readPreTokenizer(
  { pre_tokenizer: cut, normalizer }: Readonly<Record<string, unknown>>,
  path: string,
): string {
  const parts = isRecord(cut) && Array.isArray(cut.pretokenizers) ? cut.pretokenizers : [cut];
  const steps = parts.filter(isRecord);
  const byteLevel = steps.find(({ type }) => type === 'ByteLevel');
  if (byteLevel === undefined || byteLevel.add_prefix_space === true || steps.length > 2) {
    throw refused(path, `the pre-tokenizer ${JSON.stringify(cut)}`);
  }
  const split = steps.find(({ type }) => type === 'Split');
  // Without a rule of its own, that of GPT-2.
  if (steps.length === 1 && byteLevel.use_regex !== false && normalizer == null) return 'gpt-2';
  const pattern = isRecord(split?.pattern) ? split.pattern.Regex : undefined;
  const name = typeof pattern === 'string' ? names.get(pattern) : undefined;
  if (name === undefined) throw refused(path, `the pre-tokenizer ${JSON.stringify(cut)}`);
  return name;
}

export function refused(path: string, received: string): BallastError {
  return new BallastError(
    'ERR_UNSUPPORTED',
    `Expected a byte-level or byte-fallback BPE tokenizer that llama.cpp knows for format gguf but ${path} has ` +
      `${received}; use format huggingface or compressed-tensors.`,
  );
}
