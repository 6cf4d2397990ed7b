// What the CPU keeps of memory that is given back: what it has needed at once, and never more.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile, compiler, isMissing } from './compile.js';

describe.skipIf(process.platform !== 'linux' || isMissing(compiler))('large blocks', () => {
  let folder = '';
  let program = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ballast-blocks-'));
    program = compile(folder, [
      'test/native/block-cache.cc',
      'native/cpu/block_cache.cc',
      'native/core/aligned_memory.cc',
    ]);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** What `take` found, and the MiB that were held after each word. */
  function run(words: string) {
    const lines = execFileSync(program, words.split(' '), { encoding: 'utf8' }).trim().split('\n');
    return {
      found: lines.map((line) => line.split(' ')[0]).filter((word) => word !== 'given'),
      held: lines.map((line) => Number(line.split(' ')[1])),
    };
  }
  /** MiB that a process holds without any. */
  const itself = 8;

  it('come again, of any size', () => {
    expect(run('take 8 give 8 take 8').found).toEqual(['fresh', 'used']);
    expect(run('take 300 give 300 take 300').found).toEqual(['fresh', 'used']);
    expect(run('take 100 take 100 give 100 give 100 take 100 take 100').found).toEqual([
      ...['fresh', 'fresh', 'used', 'used'],
    ]);
  });

  it('make room for others, so that no more is held than was needed at once', () => {
    const { found, held } = run('take 200 give 200 take 190 give 190 take 180 take 20 give 20');
    expect(found).toEqual(['fresh', 'fresh', 'fresh', 'fresh']);
    expect(Math.max(...held)).toBeLessThan(200 + itself);
    expect(held[1]).toBeGreaterThan(199);
  });

  it('are kept to 64 MiB in any case', () => {
    const { held } = run('take 100 take 40 give 40 take 30 give 30 take 25 give 25');
    expect(held[3]).toBeGreaterThan(100 + 40 + 29);
    expect(held[6]).toBeGreaterThan(100 + 30 + 24);
    expect(held[6]).toBeLessThan(100 + 64 + itself);
  });
});
