// One gate for style: biome (TypeScript, scripts, JSON), clang-format (C++, CUDA) and the floors of the house. With
// --fix it formats instead of complaining. clang-format comes from the machine; where there is none, that part is skipped
// and says so.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkFloors } from './check-floors.mjs';

const root = path.resolve(fileURLToPath(import.meta.url), '../..');
const fix = process.argv.includes('--fix');
let failed = false;

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (result.status !== 0) failed = true;
}

function nativeSources() {
  const folders = ['native', 'cuda'].filter((folder) => existsSync(path.join(root, folder)));
  return folders.flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true })
      .filter((name) => /\.(cc|h|cu|cuh)$/.test(name))
      .map((name) => path.join(folder, name)),
  );
}

run(path.join(root, 'node_modules/.bin/biome'), [
  'check',
  '--error-on-warnings',
  ...(fix ? ['--write'] : []),
]);

if (spawnSync('clang-format', ['--version']).error) {
  console.error('lint: no clang-format on this machine, C++ style not checked');
} else {
  run('clang-format', [...(fix ? ['-i'] : ['--dry-run', '-Werror']), ...nativeSources()]);
}

for (const violation of checkFloors(root)) {
  console.error(violation);
  failed = true;
}
process.exit(failed ? 1 : 0);
