// The AMX kernels on any machine that can pack for them (AVX512_BF16): compiled against a software twin of the tile
// instructions, they multiply whole matrices. Where AMX is, the other tests of products run the real thing.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compiler, isMissing, root } from './compile.js';
import { productInstructionSets } from './harness.js';

const canRun = productInstructionSets.includes('avx512_bf16') && !isMissing(compiler);

const vectors = [
  'avx2',
  'fma',
  'f16c',
  'avx512f',
  'avx512bw',
  'avx512dq',
  'avx512vl',
  'avx512bf16',
];
const kernels = [...vectors.map((name) => `-m${name}`), '-Wno-psabi'];
/** Each with its flags, as native/cpu/CMakeLists.txt has them; the twin takes the place of AMX's own intrinsics. */
const sources: [string, ...string[]][] = [
  ['native/cpu/kernels/linear_bfloat16.cc', '-DBALLAST_ISA=avx512_bf16', ...kernels],
  [
    'native/cpu/kernels/linear_amx.cc',
    ...['-DBALLAST_ISA=amx_bf16', '-include', 'test/native/amx-tiles.h', ...kernels],
  ],
  ['native/cpu/block_cache.cc'],
  ['native/cpu/gemm.cc'],
  ['native/core/aligned_memory.cc'],
  ['native/core/dtype.cc'],
  ['native/core/error.cc'],
  ['native/core/thread_pool.cc'],
  ['test/native/amx.cc'],
];

interface Findings {
  products: string;
  elements: number;
  wrong: number;
  worst: number;
  apart: number;
}

describe.skipIf(!canRun)('AMX kernels on a twin of the tile instructions', () => {
  const run = promisify(execFile);
  let folder = '';
  let findings: Findings[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ballast-amx-'));
    const objects = sources.map(([source, ...flags], i) => ({ source, flags, object: `${i}.o` }));
    await Promise.all(
      objects.map(({ source, flags, object }) => {
        const common = ['-std=c++20', '-O1', '-ffp-contract=off', '-I.', '-c', source];
        return run(compiler, [...common, ...flags, '-o', join(folder, object)], { cwd: root });
      }),
    );
    const program = join(folder, 'amx');
    await run(compiler, [...objects.map(({ object }) => object), '-pthread', '-o', program], {
      cwd: folder,
    });
    const { stdout } = await run(program);
    findings = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([...['rounded', 'two', 'three', 'six'], ...['by float16', 'by bfloat16', 'of bfloat16']])(
    '%s products',
    (products) => {
      const found = findings.filter((line) => line.products === products);
      expect(found.length).toBeGreaterThan(0);
      for (const { elements, wrong, worst, apart } of found) {
        expect(elements).toBeGreaterThan(100_000);
        expect(wrong).toBe(0);
        expect(worst).toBeLessThan(1);
        expect(apart).toBeLessThan(2 ** -22);
      }
    },
  );
});
