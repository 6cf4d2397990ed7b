// Programs of C++ that see what the addon does not show; compiled where there is a compiler.

import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const compiler = process.env.CXX ?? 'c++';
export const isMissing = (command: string) => spawnSync(command, ['--version']).error !== undefined;

/** The program that these sources make, in `folder`. */
export function compile(folder: string, sources: readonly string[]): string {
  const program = join(folder, 'program');
  const flags = ['-std=c++20', '-O1', `-I${root}`, '-o', program];
  execFileSync(compiler, [...flags, ...sources.map((source) => join(root, source))]);
  return program;
}
