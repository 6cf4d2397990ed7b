// Makes whatever is missing or out of date, and only that: dependencies, the addon, the compiled TypeScript. `npm start`
// and `npm test` run it first, so both work on a bare clone; it uses Node's own modules alone, since it runs before any
// other exists, and takes a blink when nothing changed.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(fileURLToPath(import.meta.url), '../..');
const at = (...parts) => path.join(root, ...parts);

/** Latest change below a path; a folder's own time counts, so that a removed file is noticed. */
function changedAt(target) {
  const status = statSync(target, { throwIfNoEntry: false });
  if (!status) return 0;
  if (!status.isDirectory()) return status.mtimeMs;
  const children = readdirSync(target).map((name) => changedAt(path.join(target, name)));
  return Math.max(status.mtimeMs, ...children);
}

/** Runs `make` unless `stamp` is younger than every source, and then dates the stamp to the start of the work. */
function step(name, { stamp, sources, output, make }) {
  const sourcesChangedAt = Math.max(...sources.map((source) => changedAt(at(source))));
  if (existsSync(at(output)) && changedAt(at(stamp)) > sourcesChangedAt) return;
  console.error(`ballast: ${name}`);
  const startedAt = new Date();
  make();
  mkdirSync(path.dirname(at(stamp)), { recursive: true });
  writeFileSync(at(stamp), '', { flag: 'a' });
  utimesSync(at(stamp), startedAt, startedAt);
}

/** Shows a command's output only when it fails: a build that went well has nothing to say. */
function run(command, args) {
  const shell = process.platform === 'win32';
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', shell });
  if (result.status === 0) return;
  process.stderr.write(
    `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}\n`,
  );
  console.error(`ballast: \`${command} ${args.join(' ')}\` failed; its output is above.`);
  process.exit(1);
}

const runPackage = (name, ...args) => run(at('node_modules/.bin', name), args);

/** Compiled files whose source is gone would still be found by imports and packed. */
function removeOrphans(folder = '') {
  for (const entry of readdirSync(at('dist', folder), { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    const stem = file.replace(/(\.d\.ts|\.js)$/, '');
    const sources = [stem, `${stem}.ts`, `${stem}.js`].map((source) => at('lib', source));
    if (!sources.some(existsSync)) rmSync(at('dist', file), { recursive: true });
    else if (entry.isDirectory()) removeOrphans(file);
  }
}

step('installing dependencies', {
  stamp: 'node_modules/.package-lock.json', // npm's own record of what it installed, so `npm install` counts too
  sources: ['package-lock.json'],
  output: 'node_modules/.bin',
  make: () => run('npm', ['ci', '--ignore-scripts']),
});

step('compiling the native addon', {
  stamp: 'build/.ballast-native',
  sources: ['CMakeLists.txt', 'cmake', 'native', 'cuda'],
  output: 'build/Release/ballast.node',
  make: () => runPackage('cmake-js', 'compile', '--parallel', String(availableParallelism())),
});

step('compiling TypeScript', {
  stamp: 'build/.ballast-typescript',
  sources: ['lib', 'tsconfig.json', 'node_modules/.package-lock.json'],
  output: 'dist/index.js',
  make: () => {
    runPackage('tsc', '-p', 'lib');
    removeOrphans();
  },
});
