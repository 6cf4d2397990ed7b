// Text to token ids, as the model's own tokenizer does it (through @huggingface/tokenizers). A long text takes seconds
// of pure JavaScript, and cutting it would change tokens at the cuts, so it runs whole on a worker thread: the event
// loop stays free.

import { resolve } from 'node:path';
import { BallastError } from '../errors.js';
import { WorkerConnection } from '../worker-connection.js';

interface Reply {
  readonly vocabularySize?: number;
  readonly ids?: Int32Array;
  readonly problem?: string;
}

export interface TokenizerOptions {
  /** When it fires, whatever the tokenizer is asked for is rejected at once. */
  readonly signal?: AbortSignal | undefined;
  /** How many tokens the model knows; a text with another is refused. Default: any. */
  readonly modelTokens?: number;
}

export class Tokenizer {
  readonly #connection: WorkerConnection<Reply>;
  readonly #directory: string;
  /** One more than the largest token id. */
  readonly vocabularySize: number;

  private constructor(
    connection: WorkerConnection<Reply>,
    directory: string,
    vocabularySize: number,
  ) {
    this.#connection = connection;
    this.#directory = directory;
    this.vocabularySize = vocabularySize;
  }

  /** Starts a worker for the tokenizer in `directory`; use `loadTokenizer`. */
  static async load(
    directory: string,
    { signal, modelTokens }: TokenizerOptions,
  ): Promise<Tokenizer> {
    const absolute = resolve(directory);
    const script = new URL('./tokenizer-worker.js', import.meta.url);
    const connection = new WorkerConnection<Reply>(
      script,
      { directory: absolute, modelTokens },
      signal,
    );
    try {
      const { vocabularySize = 0 } = await answer(connection.receive(), absolute);
      return new Tokenizer(connection, absolute, vocabularySize);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /**
   * Ids of the whole text, no special tokens added. Calls may overlap; they are served in order. Error ERR_MEMORY for a
   * text that is too long.
   */
  async encode(text: string): Promise<Int32Array> {
    const reply = this.#connection.send(text).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? tooLong(text) : error;
    });
    const { ids = new Int32Array() } = await answer(reply, this.#directory);
    return ids;
  }

  /** Ends the worker; texts still waiting are rejected. */
  close(): Promise<void> {
    return this.#connection.close();
  }
}

/** Loads the tokenizer of a model directory. Errors: ERR_CHECKPOINT when there is none or it cannot be used. */
export function loadTokenizer(
  directory: string,
  options: TokenizerOptions = {},
): Promise<Tokenizer> {
  return Tokenizer.load(directory, options);
}

function tooLong({ length }: string): BallastError {
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
