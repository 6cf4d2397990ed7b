// Programs in a process of their own, on the built library.

import { spawn } from 'node:child_process';
import { builtLibrary } from '../places.js';

/** Runs an ES module with `library` in scope; resolves with the JSON that it prints. Rejects unless it exits with 0. */
export function runProgram(program: string, flags: readonly string[] = []): Promise<unknown> {
  const source = `import * as library from ${JSON.stringify(`file://${builtLibrary}`)};\n${program}`;
  const args = [...flags, '--input-type=module', '--eval', source];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(JSON.parse(stdout));
      else reject(new Error(`Ended with ${code ?? signal}: ${stderr}`));
    });
  });
}

export const quoted = (value: unknown) => JSON.stringify(value);
