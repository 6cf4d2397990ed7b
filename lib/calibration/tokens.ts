// The tokens of a file of texts, in the order of its documents.

import type { Tokenizer } from '../checkpoint/tokenizer/tokenizer.js';
import { joinedLength } from '../joined.js';
import { type DocumentOptions, readDocuments } from './documents.js';

interface TokenOptions extends DocumentOptions {
  /** How many are enough; default all. */
  readonly least?: number;
}

/** Enough to keep the tokenizer's threads busy; it holds a copy of those it has been given. */
const documentsAtOnce = 256;

/** All tokens, or the first ones where `least` are enough, by documents. Errors: those of `readDocuments` and of the tokenizer. */
export async function readTokens(
  tokenizer: Tokenizer,
  path: string,
  { least = Number.POSITIVE_INFINITY, ...options }: TokenOptions,
): Promise<Int32Array[]> {
  const documents = await readDocuments(path, options);
  const tokens: Int32Array[] = [];
  let wanted = least;
  for (let first = 0; first < documents.length && wanted > 0; first += documentsAtOnce) {
    const some = documents.slice(first, first + documentsAtOnce);
    const found = await Promise.all(some.map((one) => tokenizer.encode(one, wanted)));
    tokens.push(...found);
    wanted -= joinedLength(found);
  }
  return tokens;
}
