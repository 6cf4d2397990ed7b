// SHA-256 of what devices gave. A block of a large model takes a fraction of a second, in which a device would wait for
// this thread, so what is large goes to threads of its own: a few, since results are read back as fast as they are hashed.

import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { BallastError } from '../errors.js';
import { WorkerConnection } from '../worker-connection.js';

/** Below, some 10 ms, a thread would be no help. */
const leastBytes = 1 << 23;

/** Threads that have had nothing to do for so long, in milliseconds, are closed; the next digest starts others. */
const longestRest = 10_000;

/** How many digests are worth being under way at once. */
export const digestThreads = Math.min(4, availableParallelism());

interface Digested {
  /** In hexadecimal. */
  readonly digest: string;
  /** The memory that was given. */
  readonly parts: readonly ArrayBuffer[];
}

const workers: WorkerConnection<Digested>[] = [];
let closing: NodeJS.Timeout | undefined;

/** Of all parts in turn. Their memory may be taken over: from here on it is only there in what is returned. */
export async function sha256(parts: readonly ArrayBuffer[]): Promise<Digested> {
  const bytes = parts.reduce((total, { byteLength }) => total + byteLength, 0);
  if (bytes >= leastBytes) return await digestedBy(leastBusy(), parts);
  const hash = createHash('sha256');
  for (const part of parts) hash.update(new Uint8Array(part));
  return { digest: hash.digest('hex'), parts };
}

/** A thread that has ended is none for the next digests. */
async function digestedBy(
  worker: WorkerConnection<Digested>,
  parts: readonly ArrayBuffer[],
): Promise<Digested> {
  try {
    return await worker.send(parts, [...parts]);
  } catch (error) {
    const at = workers.indexOf(worker);
    if (at >= 0) workers.splice(at, 1);
    const reason = error instanceof Error ? error.message : String(error);
    throw new BallastError(
      'ERR_MEMORY',
      `Expected the thread that digests what is written to last, but it ended: ${reason}; leave more memory free.`,
      { cause: error },
    );
  } finally {
    closeAfterRest();
  }
}

function closeAfterRest(): void {
  clearTimeout(closing);
  closing = setTimeout(() => {
    // One that is at work comes back here.
    if (workers.some(({ pending }) => pending > 0)) return;
    for (const worker of workers.splice(0)) void worker.close();
  }, longestRest);
  closing.unref();
}

/** They are started when all others have something to do, and stay for the next ones. */
function leastBusy(): WorkerConnection<Digested> {
  const idle = workers.find(({ pending }) => pending === 0);
  if (idle !== undefined) return idle;
  if (workers.length < digestThreads) {
    const worker = new WorkerConnection<Digested>(new URL('./digest-worker.js', import.meta.url));
    workers.push(worker);
    return worker;
  }
  return workers.reduce((least, other) => (other.pending < least.pending ? other : least));
}
