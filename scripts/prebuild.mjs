// Makes prebuilds/<platform>-<arch>/: the addon, and the CUDA library where it was built, stripped and named so that
// node-gyp-build finds them. N-API 8 keeps one file good for every Node since 20.19.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(fileURLToPath(import.meta.url), '../..');
const stage = path.join(root, 'build/prebuild');
mkdirSync(stage, { recursive: true });

const options = ['--napi', '--strip', '--tag-libc', '--name', 'ballast', '--target', '20.19.0'];
const places = [
  '--cwd',
  stage,
  '--out',
  root,
  '--node-gyp',
  path.join(root, 'scripts/node-gyp-shim.mjs'),
];
const result = spawnSync(
  path.join(root, 'node_modules/.bin/prebuildify'),
  [...options, ...places],
  {
    cwd: root,
    stdio: 'inherit',
  },
);
process.exit(result.status ?? 1);
