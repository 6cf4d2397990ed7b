// The worker half of digest.ts: SHA-256 over the parts of each message, which go back with it. Plain JavaScript, because a
// worker is started from a file, and this one must be found beside its caller in the sources and in the package.

import { createHash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';

parentPort?.on('message', (/** @type {ArrayBuffer[]} */ parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(new Uint8Array(part));
  parentPort?.postMessage({ digest: hash.digest('hex'), parts }, parts);
});
