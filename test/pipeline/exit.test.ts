// A process may end while devices compute: its exit code is the one that it asked for.

import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { builtLibrary } from '../places.js';
import { quoted } from './child.js';

const devices = pathToFileURL(join(dirname(builtLibrary), 'device/index.js')).href;

/** Thousands of products that are too small to wait inside of: each asks for the pool of threads anew. */
const program = `
import { Device } from ${quoted(devices)};
const device = Device.open('cpu', { threads: 2 });
const x = device.zeros('float32', [64, 256]);
const weight = device.zeros('float32', [256, 256]);
for (let i = 0; i < 20000; i++) device.matmul(x, weight).dispose();
setTimeout(() => process.exit(7), 20);`;

function exitCode(): Promise<number | NodeJS.Signals | null> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program]);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? signal));
  });
}

it('exits while a queue is full', async () => {
  const codes: unknown[] = [];
  for (let i = 0; i < 6; i++) codes.push(await exitCode());
  expect(codes).toEqual([7, 7, 7, 7, 7, 7]);
});
