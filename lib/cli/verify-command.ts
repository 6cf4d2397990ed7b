// `ballast verify`: whether a result's files hold what was quantized.

import { Command } from 'commander';
import { checkVerifyOptions, resultDefaults } from '../export/index.js';
import { type VerifyOptions, verify } from '../index.js';
import { addOptions, type OptionTable, readOptions } from './option-table.js';
import { withProgress } from './progress.js';
import { recurringOptions } from './recurring-options.js';
import { printJson, printTable } from './tables.js';
import { checkUsage } from './usage.js';

const table: OptionTable<VerifyOptions> = {
  device: recurringOptions.device,
  threads: recurringOptions.threads,
};

const examples = `
Examples:
  $ ballast verify ./model-4bit
  $ ballast verify ./model-4bit --json`;

export function verifyCommand(signal: AbortSignal): Command {
  const command = new Command('verify')
    .summary('check the files of a quantized model')
    .description(
      'Reads a result of `ballast quantize` or `ballast export` back, dequantizes it, and compares it with what was quantized, ' +
        'and its files with what was written.',
    )
    .argument('<result>', 'directory that ballast has written');
  addOptions(command, table, resultDefaults);
  return command
    .option('--json', 'print the outcome as JSON')
    .addHelpText('after', examples)
    .action(async (result: string) => {
      const options = readOptions(command, table);
      checkUsage(command, table, () => checkVerifyOptions(options));
      const outcome = await run(result, { ...options, signal });
      if (command.opts().json) return printJson(outcome);
      printTable([
        ['result', outcome.result],
        ['format', outcome.format],
        ['linears', `${outcome.linears}, all as they were quantized`],
        [
          'files',
          outcome.files === undefined
            ? 'not compared: an earlier version of ballast wrote the result and did not record them'
            : `${outcome.files}, all as they were written`,
        ],
      ]);
    });
}

function run(result: string, options: VerifyOptions) {
  return withProgress((progress) =>
    verify(result, {
      ...options,
      onProgress: ({ done, total }) => progress.step('verifying', done, total),
    }),
  );
}
