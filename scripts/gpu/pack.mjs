// Packs all that a machine with a GPU but without Node needs to run the tests and benches into one archive: the node
// that runs this script, the built package, its sources (to compile the CUDA library there), the tests and the packages
// they load. Prints the archive's path and size. Build first: `npm run compile` (with nvcc on the PATH).
//
//   node scripts/gpu/pack.mjs [archive] [--model folder --text file]          default build/gpu/ballast-gpu.tar.xz
//
// A model and a text come along for the step `model` of run.sh, beside the bundled ones.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { model: { type: 'string' }, text: { type: 'string' } },
});
const root = path.resolve(fileURLToPath(import.meta.url), '../../..');
const archive = path.resolve(positionals[0] ?? path.join(root, 'build/gpu/ballast-gpu.tar.xz'));
const stage = path.join(root, 'build/gpu/ballast');

/** What the package itself is made of; the tests import lib/ in TypeScript. */
const parts = [
  'package.json',
  'tsconfig.json',
  'vitest.config.ts',
  'native',
  'cuda',
  'lib',
  'dist',
  'test/native',
  'bench',
  'examples/model',
  'examples/data',
  'scripts/gpu',
];

function fail(sentence) {
  console.error(`pack: ${sentence}`);
  process.exit(1);
}

/** Folder of an installed package, looked for from the package that needs it upwards. */
function find(name, from) {
  for (let folder = from; ; folder = path.dirname(folder)) {
    const candidate = path.join(folder, 'node_modules', name);
    if (existsSync(path.join(candidate, 'package.json'))) return candidate;
    if (folder === root) return undefined;
  }
}

/** Folders of these packages and of all that they need; what is optional may be missing. */
function closure(names) {
  const folders = new Set();
  const visit = (name, from) => {
    const folder = find(name, from);
    if (!folder || folders.has(folder)) return;
    folders.add(folder);
    const needs = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
    const all = { ...needs.dependencies, ...needs.optionalDependencies, ...needs.peerDependencies };
    for (const need of Object.keys(all)) visit(need, folder);
  };
  for (const name of names) visit(name, root);
  return [...folders];
}

for (const part of ['dist/index.js', 'build/Release/ballast.node']) {
  if (!existsSync(path.join(root, part))) fail(`no ${part}; run \`npm run compile\` first.`);
}

rmSync(stage, { recursive: true, force: true });
mkdirSync(path.join(stage, 'build/Release'), { recursive: true });
mkdirSync(path.join(stage, 'bin'));
for (const part of parts)
  cpSync(path.join(root, part), path.join(stage, part), { recursive: true });
for (const file of ['ballast.node', 'ballast-cuda.so']) {
  const from = path.join(root, 'build/Release', file);
  if (existsSync(from)) copyFileSync(from, path.join(stage, 'build/Release', file));
}
if (values.model && values.text) {
  cpSync(values.model, path.join(stage, 'model'), { recursive: true });
  copyFileSync(values.text, path.join(stage, 'text.txt'));
}
const { dependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
// The driver of source installs is not needed: run.sh compiles the CUDA library by nvcc alone.
const wanted = Object.keys(dependencies).filter((name) => name !== 'cmake-js');
for (const folder of closure([...wanted, 'vitest'])) {
  const to = path.join(stage, path.relative(root, folder));
  const nested = path.join(folder, 'node_modules'); // comes on its own, as far as it is needed
  cpSync(folder, to, {
    recursive: true,
    filter: (file) => file !== nested && !/\.(map|d\.[cm]?ts|md)$/.test(file),
  });
}
mkdirSync(path.join(stage, 'node_modules/.bin'), { recursive: true });
symlinkSync('../vitest/vitest.mjs', path.join(stage, 'node_modules/.bin/vitest'));
copyFileSync(process.execPath, path.join(stage, 'bin/node'));
spawnSync('strip', [path.join(stage, 'bin/node')]); // smaller where there is a strip

mkdirSync(path.dirname(archive), { recursive: true });
const environment = { ...process.env, XZ_OPT: '-6 -T0' };
const tar = spawnSync('tar', ['-cJf', archive, '-C', path.dirname(stage), path.basename(stage)], {
  stdio: 'inherit',
  env: environment,
});
if (tar.status !== 0) fail('tar failed.');
console.log(`${archive}  ${(statSync(archive).size / 1e6).toFixed(1)} MB`);
