// Text to token ids, as the model's own tokenizer does it (through @huggingface/tokenizers). A long text takes seconds
// of pure JavaScript, and cutting it would change tokens at the cuts, so it runs whole on a worker thread: the event
// loop stays free. An idle worker does not keep the process alive.

import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { BallastError } from '../errors.js';

interface Waiting {
  resolve(reply: Reply): void;
  reject(error: BallastError): void;
}

interface Reply {
  readonly vocabularySize?: number;
  readonly ids?: Int32Array;
  readonly problem?: string;
}

export class Tokenizer {
  private constructor(
    private readonly connection: Connection,
    /** One more than the largest token id. */
    readonly vocabularySize: number,
  ) {}

  /** Starts a worker for the tokenizer in `directory`; use `loadTokenizer`. */
  static async load(directory: string): Promise<Tokenizer> {
    const connection = new Connection(resolve(directory));
    try {
      const { vocabularySize = 0 } = await connection.receive();
      return new Tokenizer(connection, vocabularySize);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** Ids of the whole text, no special tokens added. Calls may overlap; they are served in order. */
  async encode(text: string): Promise<Int32Array> {
    const { ids = new Int32Array() } = await this.connection.send(text);
    return ids;
  }

  /** Ends the worker; texts still waiting are rejected. */
  close(): Promise<void> {
    return this.connection.close();
  }
}

/** Loads the tokenizer of a model directory. Errors: ERR_CHECKPOINT when there is none or it cannot be used. */
export function loadTokenizer(directory: string): Promise<Tokenizer> {
  return Tokenizer.load(directory);
}

// Requests and replies of one worker, first in, first out.
class Connection {
  private readonly worker: Worker;
  private readonly waiting: Waiting[] = [];
  private ended: string | undefined;

  constructor(private readonly directory: string) {
    const script = new URL('./tokenizer-worker.js', import.meta.url);
    // No flags of the process: those of `node --input-type=module --eval` would not let the script start.
    this.worker = new Worker(script, { workerData: { directory }, execArgv: [] });
    this.worker.on('message', (reply: Reply) => this.settle(reply));
    this.worker.on('error', (error) => this.end(error.message));
    this.worker.on('exit', () => this.end('it was closed'));
  }

  send(text: string): Promise<Reply> {
    if (this.ended === undefined) this.worker.postMessage(text);
    return this.receive();
  }

  receive(): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.ended !== undefined) return reject(this.failure(this.ended));
      this.waiting.push({ resolve, reject });
      this.worker.ref();
    });
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }

  private settle(reply: Reply): void {
    const next = this.waiting.shift();
    if (this.waiting.length === 0) this.worker.unref();
    if (reply.problem === undefined) next?.resolve(reply);
    else next?.reject(this.failure(reply.problem));
  }

  private end(reason: string): void {
    this.ended ??= reason;
    for (const { reject } of this.waiting.splice(0)) reject(this.failure(this.ended));
  }

  private failure(reason: string): BallastError {
    return new BallastError(
      'ERR_CHECKPOINT',
      `The tokenizer in ${this.directory} cannot be used: ${reason}.`,
    );
  }
}
