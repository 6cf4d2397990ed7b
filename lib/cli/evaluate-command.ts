// `ballast evaluate`: perplexities of one model on several texts, as a table or JSON.

import { Command } from 'commander';
import { checkEvaluateOptions, evaluationDefaults } from '../evaluate/index.js';
import { type EvaluateOptions, type EvaluationReport, evaluate } from '../index.js';
import { number as digits } from './format.js';
import { addOptions, number, type OptionTable, readOptions, repeated } from './option-table.js';
import { openProgress } from './progress.js';
import { printJson, printTable } from './tables.js';
import { checkUsage } from './usage.js';

const table: OptionTable<EvaluateOptions> = {
  texts: {
    flags: '-t, --text <file>',
    help: 'test text: .txt, .jsonl or .parquet; may be given several times',
    parse: repeated,
    required: true,
  },
  sequenceLength: {
    flags: '--sequence-length <n>',
    help: 'tokens per window (default: 2048 or what the model supports)',
    parse: number,
  },
  field: { flags: '--field <name>', help: 'field (JSONL) or column (parquet) of the text' },
  device: { flags: '--device <name>', help: 'a name of `ballast devices`' },
  threads: {
    flags: '--threads <n>',
    help: 'compute threads of a CPU device (default: one per processor)',
    parse: number,
  },
  precision: { flags: '--precision <float32|bfloat16>', help: 'how matrix products are formed' },
  token: { flags: '--token <token>', help: 'hub access token (default: HF_TOKEN)' },
};

const examples = `
Examples:
  $ ballast evaluate ./model --text test.txt
  $ ballast evaluate ./model-4bit --text a.txt --text b.txt --sequence-length 512 --json`;

export function evaluateCommand(signal: AbortSignal): Command {
  const command = new Command('evaluate')
    .summary('perplexity of a model on texts')
    .description('Perplexity over consecutive non-overlapping windows of each text.')
    .argument('<model>', 'model directory, or hub id such as organisation/name');
  addOptions(command, table, evaluationDefaults);
  return command
    .option('--json', 'print the results as JSON')
    .addHelpText('after', examples)
    .action(async (model: string) => {
      const options = readOptions(command, table);
      checkUsage(command, table, () => checkEvaluateOptions(options));
      const report = await run(model, { ...options, signal });
      if (command.opts().json) printJson(report);
      else printReport(report);
    });
}

async function run(model: string, options: EvaluateOptions): Promise<EvaluationReport> {
  const progress = openProgress();
  try {
    return await evaluate(model, {
      ...options,
      onProgress: (event) =>
        progress.step(
          event.type === 'download' ? `fetching ${model}` : event.text,
          event.done,
          event.total,
        ),
    });
  } finally {
    progress.end();
  }
}

function printReport({ results, sequenceLength }: EvaluationReport): void {
  printTable(
    results.map(({ text, perplexity, tokens, windows }) => [
      text,
      digits(perplexity),
      `${tokens}`,
      `${windows} of ${sequenceLength} tokens`,
    ]),
    ['text', 'perplexity', 'predicted tokens', 'windows'],
  );
}
