// Before the package is packed: it has what users without a compiler need.
import { existsSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const made = { 'dist/index.js': 'npm run compile', prebuilds: 'npm run prebuild' };

for (const [part, command] of Object.entries(made)) {
  if (existsSync(path.join(root, part))) continue;
  console.error(`pack: no ${part}; run \`${command}\` first.`);
  process.exitCode = 1;
}
