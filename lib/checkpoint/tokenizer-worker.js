// The worker half of tokenizer.ts: one tokenizer, asked by messages, answering in order. Plain JavaScript, because a
// worker is started from a file, and this one must be found beside its caller in the sources and in the package.

import { parentPort, workerData } from 'node:worker_threads';
import { Tokenizer } from '@huggingface/tokenizers';

/** @param {unknown} error */
function fail(error) {
  parentPort?.postMessage({ problem: error instanceof Error ? error.message : String(error) });
}

/**
 * @param {Tokenizer} tokenizer
 * @param {string} text
 */
function encode(tokenizer, text) {
  const { ids } = tokenizer.encode(text, { add_special_tokens: false });
  // Int32Array would turn an unknown token's `undefined` into 0, a valid id.
  const unknown = ids.findIndex((/** @type {unknown} */ id) => !Number.isInteger(id));
  if (unknown >= 0) throw new Error(`token ${unknown} of the text is not in the vocabulary`);
  return Int32Array.from(ids);
}

function vocabularySize(/** @type {Tokenizer} */ tokenizer) {
  let size = 0;
  for (const id of tokenizer.get_vocab(true).values()) size = Math.max(size, id + 1);
  return size;
}

try {
  const tokenizer = new Tokenizer(workerData.definition, workerData.config);
  parentPort?.on('message', (/** @type {string} */ text) => {
    try {
      const ids = encode(tokenizer, text);
      parentPort?.postMessage({ ids }, [ids.buffer]);
    } catch (error) {
      fail(error);
    }
  });
  parentPort?.postMessage({ vocabularySize: vocabularySize(tokenizer) });
} catch (error) {
  fail(error);
}
