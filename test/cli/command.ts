// Runs the built command as a user does, in a process of its own, on the bundled example.

import { spawn } from 'node:child_process';
import { builtCommand } from '../places.js';

/** A quantization that takes a second or two. */
export const quickOptions = ['--samples', '8', '--sequence-length', '128', '--bits', '3'];

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Surroundings {
  /** Sees stderr as it grows, and may send a signal. */
  readonly onError?: (stderr: string, kill: (signal: NodeJS.Signals) => void) => void;
  /** Environment variables besides those of this process. */
  readonly env?: Record<string, string>;
}

export function ballast(
  args: readonly string[],
  { onError, env = {} }: Surroundings = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [builtCommand, ...args], {
      env: { ...process.env, ...env },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      onError?.(stderr, (signal) => child.kill(signal));
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
