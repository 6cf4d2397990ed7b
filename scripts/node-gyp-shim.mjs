#!/usr/bin/env node
// What prebuildify calls in place of node-gyp, which it alone supports: compiles the addon with cmake-js (only what
// changed) and puts the result where prebuildify looks for it, build/Release below its working folder. That folder is
// a stage of its own because prebuildify moves what it finds, and the addon of the checkout shall stay in place.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(fileURLToPath(import.meta.url), '../..');
const built = path.join(root, 'build/Release');
const staged = path.resolve('build/Release');

const compiler = path.join(root, 'node_modules/.bin/cmake-js');
const result = spawnSync(compiler, ['compile'], { cwd: root, encoding: 'utf8' });
if (result.status !== 0) {
  process.stderr.write(
    `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}\n`,
  );
  process.exit(1);
}

rmSync(staged, { recursive: true, force: true });
mkdirSync(staged, { recursive: true });
for (const file of readdirSync(built)) {
  if (/\.(node|so)$/.test(file)) copyFileSync(path.join(built, file), path.join(staged, file));
}
