// Text to token ids, as the model's own tokenizer does it (through @huggingface/tokenizers). A long text takes seconds
// of pure JavaScript, so it runs on worker threads, on several if there is much of it: the event loop stays free.

import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { BallastError } from '../../errors.js';
import { joined, joinedLength } from '../../joined.js';
import { isOutOfMemory, WorkerConnection } from '../../worker-connection.js';
import { type Cut, piecesOf } from './text-pieces.js';

interface Reply {
  readonly vocabularySize?: number;
  readonly ids?: Int32Array;
  readonly cut?: Cut;
  readonly problem?: string;
}

interface Thread {
  readonly connection: WorkerConnection<Reply>;
  /** Its first reply: the tokenizer is there. */
  readonly loaded: Promise<Reply>;
  /** Characters that it has been given and not yet encoded. */
  pending: number;
}

/** A thread more for each so many characters that wait: it has to read the tokenizer first. */
const charactersOfThread = 1 << 19;

/** Each holds the vocabulary. */
const mostThreads = Math.min(4, availableParallelism());

interface TokenizerOptions {
  /** When it fires, whatever the tokenizer is asked for is rejected at once. */
  readonly signal?: AbortSignal | undefined;
  /** How many tokens the model knows; a text with another is refused. Default: any. */
  readonly modelTokens?: number;
}

export class Tokenizer {
  readonly #directory: string;
  readonly #options: TokenizerOptions;
  readonly #threads: Thread[] = [];
  #vocabularySize = 0;

  private constructor(directory: string, options: TokenizerOptions) {
    this.#directory = resolve(directory);
    this.#options = options;
  }

  /** Starts a thread for the tokenizer in `directory`; use `loadTokenizer`. */
  static async load(directory: string, options: TokenizerOptions): Promise<Tokenizer> {
    const tokenizer = new Tokenizer(directory, options);
    try {
      const { vocabularySize = 0 } = await tokenizer.#start().loaded;
      tokenizer.#vocabularySize = vocabularySize;
      return tokenizer;
    } catch (error) {
      await tokenizer.close();
      throw error;
    }
  }

  /** One more than the largest token id. */
  get vocabularySize(): number {
    return this.#vocabularySize;
  }

  /**
   * Ids of the text, no special tokens added: of all of it, or of its beginning, where `least` are enough. Calls may
   * overlap. Error ERR_MEMORY for a text that is too long and can be cut nowhere.
   */
  async encode(text: string, least = Number.POSITIVE_INFINITY): Promise<Int32Array> {
    const pieces = await piecesOf(text, async (window) => (await this.#ask({ window })).cut);
    const atOnce = Number.isFinite(least) ? mostThreads : pieces.length;
    const parts: Int32Array[] = [];
    for (let first = 0; first < pieces.length && joinedLength(parts) < least; first += atOnce) {
      const next = pieces.slice(first, first + atOnce);
      parts.push(...(await Promise.all(next.map((piece) => this.#encodePiece(piece)))));
    }
    return parts.length === 1 ? (parts[0] as Int32Array) : joined(parts);
  }

  /** Ends the threads; texts still waiting are rejected. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map(({ connection }) => connection.close()));
  }

  async #encodePiece(text: string): Promise<Int32Array> {
    const { ids = new Int32Array() } = await this.#ask({ text });
    return ids;
  }

  /** By the thread with the least to do. */
  async #ask(message: { readonly text: string } | { readonly window: string }): Promise<Reply> {
    const { length } = 'text' in message ? message.text : message.window;
    const thread = this.#threadFor(length);
    thread.pending += length;
    const sent = thread.connection.send(message).catch((error: unknown) => {
      throw isOutOfMemory(error) ? tooLong(length) : error;
    });
    try {
      const [, reply = {}] = await Promise.all([thread.loaded, answer(sent, this.#directory)]);
      return reply;
    } finally {
      thread.pending -= length;
    }
  }

  #threadFor(characters: number): Thread {
    const waiting = this.#threads.reduce((total, { pending }) => total + pending, characters);
    const wanted = Math.min(mostThreads, 1 + Math.floor(waiting / charactersOfThread));
    if (this.#threads.length < wanted) return this.#start();
    return this.#threads.reduce((least, thread) =>
      thread.pending < least.pending ? thread : least,
    );
  }

  #start(): Thread {
    const { modelTokens, signal } = this.#options;
    const script = new URL('./tokenizer-worker.js', import.meta.url);
    const workerData = { directory: this.#directory, modelTokens };
    const connection = new WorkerConnection<Reply>(script, workerData, signal);
    const loaded = answer(connection.receive(), this.#directory);
    // Told by whatever it is asked.
    loaded.catch(() => {});
    const thread = { connection, loaded, pending: 0 };
    this.#threads.push(thread);
    return thread;
  }
}

/** Loads the tokenizer of a model directory. Errors: ERR_CHECKPOINT when there is none or it cannot be used. */
export function loadTokenizer(
  directory: string,
  options: TokenizerOptions = {},
): Promise<Tokenizer> {
  return Tokenizer.load(directory, options);
}

function tooLong(length: number): BallastError {
  return new BallastError(
    'ERR_MEMORY',
    `Expected texts that can be tokenized whole but one of ${length} characters takes more memory than Node.js allows; ` +
      'cut it into documents (.jsonl, one a line), take less of it, or raise --max-old-space-size in NODE_OPTIONS.',
  );
}

async function answer(reply: Promise<Reply>, directory: string): Promise<Reply> {
  const { problem, ...rest } = await reply.catch((error: Error) => {
    if (error instanceof BallastError) throw error;
    return { problem: error.message };
  });
  if (problem === undefined) return rest;
  throw new BallastError(
    'ERR_CHECKPOINT',
    `The tokenizer in ${directory} cannot be used: ${problem}.`,
  );
}
