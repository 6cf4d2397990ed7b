// A worker thread that answers messages in their order. An idle one does not keep the process alive.

import { Worker } from 'node:worker_threads';
import { onAbort } from './on-abort.js';

interface Waiting<Reply> {
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

export class WorkerConnection<Reply> {
  readonly #worker: Worker;
  readonly #waiting: Waiting<Reply>[] = [];
  #ended: Error | undefined;

  /** `script` is plain JavaScript, in the sources too. When `signal` fires the worker is closed, in the middle of its work. */
  constructor(script: URL, workerData?: unknown, signal?: AbortSignal) {
    // No flags of the process: those of `node --input-type=module --eval` would not let the script start.
    this.#worker = new Worker(script, { workerData, execArgv: [] });
    this.#worker.on('message', (reply: Reply) => this.#settle(reply));
    this.#worker.on('error', (error: Error) => this.#end(error));
    const waiting = onAbort(signal, () => void this.close());
    this.#worker.on('exit', () => {
      waiting[Symbol.dispose]();
      this.#end(new Error('it was closed'));
    });
    this.#worker.unref();
  }

  /** How many replies are awaited. */
  get pending(): number {
    return this.#waiting.length;
  }

  /** The reply to `message`; memory in `moved` is the worker's from here on. Rejects with why there is none. */
  send(message: unknown, moved: ArrayBuffer[] = []): Promise<Reply> {
    if (this.#ended === undefined) this.#worker.postMessage(message, moved);
    return this.receive();
  }

  /** A reply that needs no message, such as the first one. */
  receive(): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended);
      this.#waiting.push({ resolve, reject });
      this.#worker.ref();
    });
  }

  /** Ends the worker; whoever still waits is rejected. */
  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(reply: Reply): void {
    const next = this.#waiting.shift();
    if (this.#waiting.length === 0) this.#worker.unref();
    next?.resolve(reply);
  }

  #end(reason: Error): void {
    this.#ended ??= reason;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended);
  }
}

/** Whether a worker has ended for want of memory. */
export function isOutOfMemory(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY';
}
