#!/usr/bin/env node
// The command `ballast`: reads arguments, lets one command run, and turns what comes of it into an exit code. The first
// SIGINT, SIGTERM or SIGHUP aborts the run cleanly, so that no half-written result stays; the second ends the process at
// once.

import { constants } from 'node:os';
import { Command } from 'commander';
import { ioError } from '../checkpoint/io-error.js';
import { packageVersion } from '../version.js';
import { devicesCommand } from './devices-command.js';
import { evaluateCommand } from './evaluate-command.js';
import { exportCommand } from './export-command.js';
import { inspectCommand } from './inspect-command.js';
import { quantizeCommand } from './quantize-command.js';
import { reportCommand } from './report-command.js';
import { searchCommand } from './search-command.js';
import { explain } from './usage.js';
import { verifyCommand } from './verify-command.js';

const examples = `
Examples:
  $ ballast quantize ./model -o ./model-4bit --calibration books.txt --bits 4
  $ ballast evaluate ./model-4bit --text test.txt
  $ ballast report ./model-4bit
  $ ballast quantize --help

Exit codes: 0 done, 1 failed, 2 wrong usage. With --json, stdout is one JSON object; all else goes to stderr.`;

function program(signal: AbortSignal): Command {
  const root = new Command('ballast')
    .description('Quantizes transformer models and compensates what that takes with an exact bias.')
    .version(packageVersion())
    .addHelpText('after', examples);
  const commands = [
    quantizeCommand(signal),
    searchCommand(signal),
    evaluateCommand(signal),
    inspectCommand(signal),
    exportCommand(signal),
    verifyCommand(signal),
    reportCommand(),
    devicesCommand(),
  ];
  for (const command of commands) root.addCommand(command);
  for (const command of [root, ...commands]) {
    command.exitOverride().showHelpAfterError(`See: ${nameOf(command, root)} --help`);
  }
  return root;
}

function nameOf(command: Command, root: Command): string {
  return command === root ? root.name() : `${root.name()} ${command.name()}`;
}

/** What asks a process to end: from the keyboard, from another process, from a terminal that is closed. */
const stoppingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

async function main(): Promise<void> {
  const controller = new AbortController();
  let received: (typeof stoppingSignals)[number] | undefined;
  for (const name of stoppingSignals) {
    process.once(name, () => {
      received = name;
      process.stderr.write('\nstopping; once more to end at once\n');
      controller.abort();
    });
  }
  // A reader that has seen enough, such as `head`, is no failure, and nobody to read of progress none of the work.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    process.exitCode = explain(ioError(error, 'writing the result', 'stdout'), process.stderr);
  });
  process.stderr.on('error', () => {});
  try {
    await program(controller.signal).parseAsync();
  } catch (error) {
    process.exitCode = explain(error, process.stderr);
    if (received !== undefined) process.exitCode = 128 + constants.signals[received];
  }
}

await main();
