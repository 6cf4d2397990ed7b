// `ballast export`: a finished run in another format.

import { Command } from 'commander';
import { checkExportOptions, formats, resultDefaults } from '../export/index.js';
import { type ExportOptions, exportResult } from '../index.js';
import { bytes } from './format.js';
import { addOptions, byteCount, number, type OptionTable, readOptions } from './option-table.js';
import { openProgress } from './progress.js';
import { printJson, printTable } from './tables.js';
import { checkUsage } from './usage.js';

const table: OptionTable<ExportOptions> = {
  format: {
    flags: '-f, --format <name>',
    help: `what to write: ${formats.map(({ name }) => name).join(', ')}`,
    required: true,
  },
  output: { flags: '-o, --output <dir>', help: 'directory for the result', required: true },
  architecture: {
    flags: '--as-llama',
    preset: 'llama',
    help: 'write a model that computes what LLaMA does as one',
  },
  device: { flags: '--device <name>', help: 'a name of `ballast devices`' },
  threads: {
    flags: '--threads <n>',
    help: 'compute threads of a CPU device (default: one per processor)',
    parse: number,
  },
  overwrite: { flags: '--overwrite', help: 'replace an existing result' },
  maxShardBytes: {
    flags: '--max-shard-size <size>',
    help: 'size of a weight file at most, such as 500MB',
    parse: byteCount,
    show: bytes,
  },
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

async function run(result: string, options: ExportOptions) {
  const progress = openProgress();
  try {
    return await exportResult(result, {
      ...options,
      onProgress: ({ done, total }) => progress.step('exporting', done, total),
    });
  } finally {
    progress.end();
  }
}
