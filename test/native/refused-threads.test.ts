// A system that starts no further thread: an error, after which the process goes on. Threads that wait while their pool
// is given up would hang it or end it.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { compile, compiler, isMissing } from './compile.js';

it.skipIf(process.platform !== 'linux' || isMissing(compiler))(
  'threads that are refused are an error',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'ballast-threads-'));
    try {
      const program = compile(folder, [
        'test/native/refused-threads.cc',
        'native/core/thread_pool.cc',
        'native/core/error.cc',
      ]);
      const [message, items] = execFileSync(program, { encoding: 'utf8', timeout: 10_000 }).split(
        '\n',
      );
      expect(message).toBe(
        'The system starts no further thread (Resource temporarily unavailable); use fewer threads or raise the limit of processes.',
      );
      expect(items).toBe('100');
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  30_000,
);
