// What ends a command, as an exit code and a sentence: 0 done, 1 failed, 2 wrong usage, 128 + n after a signal.

import { type Command, CommanderError } from 'commander';
import { BallastError } from '../errors.js';
import { type OptionTable, withFlags } from './option-table.js';
import { quantizeOptions } from './quantize-options.js';

const exitCodes = { done: 0, failed: 1, usage: 2 } as const;

/** Runs the library's check of options; what it refuses is wrong usage, told in the words of the command line. */
export function checkUsage<Options>(
  command: Command,
  table: OptionTable<Options>,
  check: () => void,
): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof BallastError)) throw error;
    command.error(`error: ${withFlags(error.message, table)}`);
  }
}

/** Tells `error` on `stream` (commander has told its own already) and gives the exit code. */
export function explain(error: unknown, stream: NodeJS.WritableStream): number {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  }
  // An error of our own says all there is to say; of any other, where it came from is the message.
  const text = error instanceof BallastError ? inFlags(error) : unexpected(error);
  stream.write(`error: ${text.replace(unprintable, '\ufffd')}\n`);
  return exitCodes.failed;
}

/** Names of tensors and columns are quoted as files have them, and shall not steer a terminal. */
const unprintable = /[^\P{Cc}\t\n]/gu;

/** What a run found wrong with an option; those of `quantize` are all that have names of several words. */
function inFlags({ code, message }: BallastError): string {
  const isAboutOptions = code === 'ERR_ARGUMENT' || code === 'ERR_UNSUPPORTED';
  return isAboutOptions ? withFlags(message, quantizeOptions) : message;
}

function unexpected(error: unknown): string {
  const details = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `This is a fault of ballast, not of its input; please report it with these lines.\n${details}`;
}
