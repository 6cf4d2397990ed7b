// Enforces the floors of the house: an import or include only points down. TypeScript: which folder of lib/ stands on
// which floor, who may load the addon. C++: the same for native/ and cuda/, and who may see napi.h. Besides, what keeps
// the floors meaningful: no file above 400 lines, no dumping grounds, and no algorithm's or model's name in code that
// shall serve all of them. `node scripts/check-floors.mjs [root]` prints one line for each violation.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const maxLines = 400;
const sourceFolders = ['lib', 'native', 'cuda', 'test', 'scripts', 'bench', 'examples'];
const sourceFile = /\.(ts|js|mjs|cc|h|cu|cuh)$/;
const dumpingGround = /^(utils?|helpers?|misc|common)\b/;

/** Higher floors may import lower ones. A file right in lib/ is its own folder here; unlisted ones are the ground. */
const libFloors = {
  cli: 9,
  index: 8,
  pipeline: 7,
  evaluate: 6,
  export: 5,
  report: 5,
  execution: 4,
  images: 4,
  models: 3,
  quantizers: 3,
  compensation: 3,
  calibration: 3,
  checkpoint: 3,
  statistics: 2,
  activations: 2,
  device: 1,
  native: 0,
};
const libGround = -1;

/** What each native folder may include besides itself. */
const nativeFloors = {
  'native/core': [],
  'native/backend': ['native/core'],
  'native/ops': ['native/backend', 'native/core'],
  'native/cpu': ['native/backend', 'native/core'],
  cuda: ['native/backend', 'native/core'],
  'native/binding': ['native/ops', 'native/cpu', 'native/backend', 'native/core'],
};

/** The one file that knows which backends exist; it may include them all. */
const backendRegistry = 'native/ops/devices.cc';

/** Packages that only one place may import. */
const packageOwners = {
  'node-gyp-build': /^lib\/native\.ts$/,
  commander: /^lib\/cli\//,
  'cli-table3': /^lib\/cli\//,
  'cli-progress': /^lib\/cli\//,
  'd3-scale': /^lib\/report\//,
  '@bufbuild/protobuf': /^lib\/export\/onnx\//,
};

const serveAll = [
  'index',
  'pipeline',
  'evaluate',
  'report',
  'execution',
  'images',
  'statistics',
  'compensation',
  'calibration',
  'checkpoint',
];

/** Folders with one file for each algorithm or model, and the folders of lib/ that must not know them by name. */
const registries = {
  quantizers: [...serveAll, 'models'],
  models: [...serveAll, 'quantizers'],
};

function listFiles(root, folder) {
  if (!existsSync(path.join(root, folder))) return [];
  return readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && sourceFile.test(entry.name))
    .map((entry) =>
      path.relative(root, path.join(entry.parentPath, entry.name)).replaceAll('\\', '/'),
    )
    .sort();
}

/** Blanks comments (not the `//` of a URL), keeping line numbers. */
function withoutComments(text) {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}

const lineOf = (text, index) => text.slice(0, index).split('\n').length;

/** `lib/models/opt.ts` → `models`; `lib/index.ts` → `index`. */
const libFolder = (file) => file.split('/')[1].replace(/\.(ts|js)$/, '');
const libFloor = (folder) => libFloors[folder] ?? libGround;

function* importsOf(code) {
  const pattern =
    /\b(?:import|export)\s+(type\s)?[^'";]*?from\s*['"]([^'"]+)['"]|\b(?:import|require)\s*\(?\s*['"]([^'"]+)['"]/g;
  for (const match of code.matchAll(pattern)) {
    yield {
      target: match[2] ?? match[3],
      typeOnly: Boolean(match[1]),
      line: lineOf(code, match.index),
    };
  }
}

function* checkImports(file, code) {
  const from = libFolder(file);
  for (const { target, typeOnly, line } of importsOf(code)) {
    const where = `${file}:${line}`;
    const owner = packageOwners[target];
    if (owner && !owner.test(file))
      yield `${where} imports ${target}, which only ${owner.source} may.`;
    if (!target.startsWith('.')) continue;
    const resolved = path.posix.join(path.posix.dirname(file), target);
    if (!resolved.startsWith('lib/')) {
      yield `${where} imports ${resolved}, which lies outside lib/.`;
      continue;
    }
    const to = libFolder(resolved);
    if (to === from) continue;
    if (to === 'native' && from !== 'device') {
      yield `${where} imports lib/native.ts, which only lib/device may.`;
    } else if (libFloor(to) > libFloor(from)) {
      yield `${where} imports up: ${from} stands below ${to}.`;
    } else if (libFloor(to) === libFloor(from) && from in libFloors && !typeOnly) {
      yield `${where} imports sideways: ${from} and ${to} share a floor and may only share types.`;
    }
  }
}

const nativeFolder = (file) =>
  Object.keys(nativeFloors).find((folder) => file.startsWith(`${folder}/`));

function* checkIncludes(file, code) {
  const from = nativeFolder(file);
  if (!from) {
    yield `${file} lies on no floor: expected one of ${Object.keys(nativeFloors).join(', ')}.`;
    return;
  }
  for (const match of code.matchAll(/^\s*#\s*include\s*([<"])([^>"]+)[>"]/gm)) {
    const where = `${file}:${lineOf(code, match.index + match[0].indexOf('#'))}`;
    const [, bracket, target] = match;
    if (/^(napi|node_api|js_native_api)/.test(target) && from !== 'native/binding') {
      yield `${where} includes ${target}, which only native/binding may.`;
    }
    if (bracket === '<') continue;
    const to = nativeFolder(target);
    if (!to)
      yield `${where} includes "${target}": expected a path from the root of the repository.`;
    else if (to !== from && !nativeFloors[from].includes(to) && file !== backendRegistry) {
      yield `${where} includes ${target}: ${from} may not see ${to}.`;
    }
  }
}

/** Names of a registry: the files that its registry imports as values, except the interfaces. */
function registeredNames(root, folder) {
  const registry = path.join(root, 'lib', folder, 'registry.ts');
  if (!existsSync(registry)) return [];
  return [...importsOf(withoutComments(readFileSync(registry, 'utf8')))]
    .filter(({ target, typeOnly }) => target.startsWith('./') && !typeOnly)
    .filter(({ target }) =>
      existsSync(path.join(path.dirname(registry), target.replace(/\.js$/, '.ts'))),
    )
    .map(({ target }) => path.basename(target, '.js'));
}

/** Splits identifiers and strings into words: `GptqOptions` → gptq, options. */
const wordsOf = (line) =>
  line
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/);

function* checkNames(file, code, names) {
  const lines = code.split('\n');
  for (const [index, line] of lines.entries()) {
    const words = new Set(wordsOf(line));
    for (const name of names) {
      const parts = name.split('-');
      if (parts.every((part) => words.has(part))) {
        yield `${file}:${index + 1} names ${name}: only its own file, its registry line and its tests may.`;
      }
    }
  }
}

/** All violations below `root`, one sentence each. */
export function checkFloors(root) {
  const violations = [];
  const forbidden = {};
  for (const [folder, blind] of Object.entries(registries)) {
    const names = registeredNames(root, folder);
    for (const reader of blind) forbidden[reader] = [...(forbidden[reader] ?? []), ...names];
  }
  for (const file of sourceFolders.flatMap((folder) => listFiles(root, folder))) {
    const text = readFileSync(path.join(root, file), 'utf8');
    const code = withoutComments(text);
    const lines = text.split('\n').length - 1;
    if (lines > maxLines)
      violations.push(`${file} has ${lines} lines; no file may have more than ${maxLines}.`);
    if (dumpingGround.test(path.basename(file)))
      violations.push(`${file} needs a name that says what it holds.`);
    if (/^lib\/.*\.(ts|js)$/.test(file)) {
      violations.push(...checkImports(file, code));
      violations.push(...checkNames(file, code, forbidden[libFolder(file)] ?? []));
    } else if (/^(native|cuda)\//.test(file)) {
      violations.push(...checkIncludes(file, code));
    }
  }
  return violations;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = path.resolve(process.argv[2] ?? path.join(path.dirname(process.argv[1]), '..'));
  const violations = checkFloors(root);
  for (const violation of violations) console.error(violation);
  console.error(violations.length ? `floors: ${violations.length} violations` : 'floors: kept');
  process.exit(violations.length ? 1 : 0);
}
