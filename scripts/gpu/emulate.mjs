// Runs the operations' tests on the CUDA kernels without a GPU: translates cuda/ into plain C++ on top of
// test/cuda-emulation, builds a `ballast-cuda.so` from it, puts it beside a copy of the addon and starts the tests with
// that. x86-64, g++ and the headers of a CUDA toolkit are needed. Some four minutes the first time; later only
// what changed is compiled.
//
//   node scripts/gpu/emulate.mjs [files or options for vitest]
import { spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(fileURLToPath(import.meta.url), '../../..');
const stage = path.join(root, 'build/emulation');
const emulation = path.join(root, 'test/cuda-emulation');
const addon = path.join(root, 'build/Release/ballast.node');

function fail(sentence) {
  console.error(`emulate: ${sentence}`);
  process.exit(1);
}

/** Where the toolkit's headers lie: CUDA_HOME, the usual place, or beside the nvcc on the PATH. */
function cudaHeaders() {
  const found = spawnSync('sh', ['-c', 'command -v nvcc'], { encoding: 'utf8' }).stdout.trim();
  const homes = [process.env.CUDA_HOME, '/usr/local/cuda'];
  if (found) homes.push(path.resolve(realpathSync(found), '../..'));
  const home = homes.find((home) => home && existsSync(path.join(home, 'include/cuda_runtime.h')));
  return home ? path.join(home, 'include') : fail('no CUDA headers found; set CUDA_HOME.');
}

/** Shared memory of the launch's own size, launches, and the one call that takes a kernel's address. */
function translate(source) {
  return source
    .replace(
      /extern __shared__ (?:__align__\(\d+\) )?([\w ]+?) (\w+)\[\];/g,
      '$1* $2 = reinterpret_cast<$1*>(emulation::shared_memory);',
    )
    .replace(
      /([A-Za-z_]\w*(?:<[^<>;()]*>)?)<<<([\s\S]*?)>>>\s*\(([\s\S]*?)\);/g,
      (_, kernel, config, values) => {
        // Templates may be deduced from values, but not from a list in braces.
        const body = values.trimStart().startsWith('{')
          ? kernel
          : `[=](const auto&... values) { ${kernel}(values...); }`;
        // With shared memory of the launch's own size: whose it is, which must have asked for much of it.
        const owner = /,\s*0\s*,[^,]*$/.test(config) ? '' : `, (const void*)${kernel}`;
        return `emulation::Launch(emulation::Config(${config}${owner}), ${body}, ${values});`;
      },
    )
    .replaceAll('cudaLaunchKernelEx(', 'emulation::LaunchEx(')
    .replaceAll('cudaFuncSetAttribute(', 'cudaFuncSetAttribute((const void*)');
}

/** Leaves a file alone that has this text already, so that its time is that of the last change. */
function write(file, text) {
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text);
}

/** Translated sources; headers go to a folder that is searched before the originals. */
function translateAll() {
  for (const folder of ['include/cuda', 'objects', 'build/Release']) {
    mkdirSync(path.join(stage, folder), { recursive: true });
  }
  const sources = [];
  for (const file of readdirSync(path.join(root, 'cuda'))) {
    if (!/\.cuh?$/.test(file) || existsSync(path.join(emulation, 'cuda', file))) continue;
    const text = translate(readFileSync(path.join(root, 'cuda', file), 'utf8'));
    const to = file.endsWith('.cuh') ? `include/cuda/${file}` : file.replace('.cu', '.cc');
    write(path.join(stage, to), text);
    if (to.endsWith('.cc')) sources.push(path.join(stage, to));
  }
  const plain = [
    ...readdirSync(path.join(root, 'cuda')).map((file) => `cuda/${file}`),
    ...['error', 'dtype', 'shape'].map((stem) => `native/core/${stem}.cc`),
    ...readdirSync(emulation).map((file) => `test/cuda-emulation/${file}`),
  ];
  return [...sources, ...plain.filter((f) => f.endsWith('.cc')).map((f) => path.join(root, f))];
}

const compiler = process.env.CXX ?? 'g++';
const flags = [
  ...['-std=c++20', '-O2', '-fPIC', '-ffp-contract=off', '-w', '-include', 'emulation.h'],
  ...['-I', path.join(stage, 'include'), '-I', emulation, '-I', root, '-isystem', cudaHeaders()],
];

/** Whether an object is younger than all it was made of, by the list that the compiler left with it, and this script. */
function isCurrent(object, list) {
  if (!existsSync(object) || !existsSync(list)) return false;
  const sources = readFileSync(list, 'utf8')
    .split(/[\s\\]+/)
    .slice(1)
    .filter(Boolean);
  const changedAt = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
  const files = [fileURLToPath(import.meta.url), ...sources];
  return files.every((file) => changedAt(file) < changedAt(object));
}

/** Compiles one file where that is due; rejects with what the compiler said. */
function compile(source) {
  const stem = path.join(stage, 'objects', path.basename(source, '.cc'));
  const [object, list] = [`${stem}.o`, `${stem}.d`];
  if (isCurrent(object, list)) return object;
  const dependencies = ['-MMD', '-MF', list];
  return new Promise((resolve, reject) => {
    const child = spawn(compiler, [...flags, ...dependencies, '-c', source, '-o', object], {
      stdio: 'inherit',
    });
    child.on('error', reject);
    child.on('close', (status) =>
      status === 0 ? resolve(object) : reject(new Error(`${source} does not compile.`)),
    );
  });
}

async function compileAll(sources) {
  const waiting = [...sources];
  const objects = [];
  const work = async () => {
    for (let source = waiting.pop(); source; source = waiting.pop()) {
      objects.push(await compile(source));
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return objects;
}

if (!existsSync(addon)) fail('no addon; run `node scripts/prepare.mjs` first.');
const objects = await compileAll(translateAll()).catch((error) => fail(error.message));
const library = path.join(stage, 'build/Release/ballast-cuda.so');
const exports = `-Wl,--version-script=${path.join(root, 'cuda/exports.map')}`;
const link = ['-shared', '-static-libstdc++', '-static-libgcc', exports, '-o', library, ...objects];
if (spawnSync(compiler, link, { stdio: 'inherit' }).status !== 0)
  fail('the library does not link.');
copyFileSync(addon, path.join(stage, 'build/Release/ballast.node'));

const tests = process.argv.slice(2);
const result = spawnSync(
  path.join(root, 'node_modules/.bin/vitest'),
  ['run', ...(tests.length > 0 ? tests : ['test/native', '-t', 'cuda:0'])],
  { cwd: root, stdio: 'inherit', env: { ...process.env, BALLAST_PREBUILD: stage } },
);
process.exit(result.status ?? 1);
