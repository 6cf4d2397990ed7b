// `ballast export`: a finished run in another format.

import { Command } from 'commander';
import { checkExportOptions, formats, resultDefaults } from '../export/index.js';
import { type ExportOptions, exportResult } from '../index.js';
import { addOptions, type OptionTable, readOptions } from './option-table.js';
import { withProgress } from './progress.js';
import { recurringOptions } from './recurring-options.js';
import { printJson, printTable } from './tables.js';
import { checkUsage } from './usage.js';

const table: OptionTable<ExportOptions> = {
  format: {
    flags: '-f, --format <name>',
    help: `what to write: ${formats.map(({ name }) => name).join(', ')}`,
    required: true,
  },
  output: recurringOptions.output,
  client: {
    ...recurringOptions.client,
    help: 'what will load the result: biases it would not read are refused',
  },
  architecture: recurringOptions.architecture,
  device: recurringOptions.device,
  threads: recurringOptions.threads,
  overwrite: recurringOptions.overwrite,
  maxShardBytes: recurringOptions.maxShardBytes,
  embeddingBits: recurringOptions.embeddingBits,
  token: recurringOptions.token,
};

const list = formats.map(({ name, summary }) => `  ${name.padEnd(19)} ${summary}`).join('\n');

const examples = `
Formats:
${list}

Examples:
  $ ballast export ./model-4bit --format huggingface -o ./model-4bit-float
  $ ballast export ./model-4bit --format gguf -o ./model-4bit-gguf
  $ ballast export ./vit-w8a8 --format onnx -o ./vit-w8a8-onnx`;

export function exportCommand(signal: AbortSignal): Command {
  const command = new Command('export')
    .summary('a quantized model in another format')
    .description('Writes a result of `ballast quantize` in another format, without calibrating.')
    .argument('<result>', 'directory that `ballast quantize` has written');
  addOptions(command, table, resultDefaults);
  return command
    .option('--json', 'print what was written as JSON')
    .addHelpText('after', examples)
    .action(async (result: string) => {
      const options = readOptions(command, table);
      checkUsage(command, table, () => checkExportOptions(options));
      const written = await run(result, { ...options, signal });
      if (command.opts().json) return printJson(written);
      printTable([
        ['result', written.result],
        ['format', written.format],
        ['linears', `${written.linears}, read back and compared`],
      ]);
    });
}

function run(result: string, options: ExportOptions) {
  return withProgress((progress) =>
    exportResult(result, {
      ...options,
      onProgress: ({ done, total }) => progress.step('exporting', done, total),
    }),
  );
}
