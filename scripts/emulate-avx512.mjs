// Runs the operations' tests on the AVX-512 and AMX kernels where the processor has AVX2 alone: builds the addon a
// second time, with software twins of those instructions (test/avx512-emulation, test/native/amx-tiles.h). Some four
// minutes the first time; later only what changed is compiled. Says nothing about speed.
//
//   node scripts/emulate-avx512.mjs [files] [options for vitest]
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const stage = path.join(root, 'build/avx512-emulation');

function run(program, options, environment = {}) {
  const result = spawnSync(path.join(root, 'node_modules/.bin', program), options, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...environment },
  });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

const switches = ['--CDBALLAST_EMULATE_AVX512=ON', '--CDBALLAST_CUDA=OFF'];
const threads = ['--parallel', String(availableParallelism())];
run('cmake-js', ['compile', '--out', path.join(stage, 'build'), ...switches, ...threads]);

// The tile kernels' own test compiles them for a processor that has the rest of AVX-512; here all tests run them.
const everything = ['test/native', '--exclude', 'test/native/amx.test.ts'];
const tests = process.argv.slice(2);
const named = tests.length > 0 && !tests[0].startsWith('-');
run('vitest', ['run', ...(named ? [] : everything), ...tests], { BALLAST_PREBUILD: stage });
