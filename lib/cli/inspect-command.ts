// `ballast inspect`: what a model directory holds, from its headers alone.

import { Command } from 'commander';
import { type Inspection, type InspectOptions, inspect } from '../index.js';
import { bytes, count } from '../number-formats.js';
import { addOptions, type OptionTable, readOptions } from './option-table.js';
import { withProgress } from './progress.js';
import { modelArgument, recurringOptions } from './recurring-options.js';
import { printJson, printTable } from './tables.js';

const table: OptionTable<InspectOptions> = { token: recurringOptions.token };

const examples = `
Examples:
  $ ballast inspect ./model
  $ ballast inspect ./model-4bit --json`;

export function inspectCommand(signal: AbortSignal): Command {
  const command = new Command('inspect')
    .summary('what a model holds')
    .description(
      'Sizes and types of a model, and for a result of `ballast quantize` how it was made.',
    )
    .argument(...modelArgument);
  addOptions(command, table, {});
  return command
    .option('--json', 'print the summary as JSON')
    .addHelpText('after', examples)
    .action(async (model: string) => {
      const inspection = await run(model, { ...readOptions(command, table), signal });
      if (command.opts().json) printJson(inspection);
      else printInspection(inspection);
    });
}

function run(model: string, options: InspectOptions): Promise<Inspection> {
  return withProgress((progress) =>
    inspect(model, {
      ...options,
      onProgress: ({ done, total }) => progress.step(`fetching ${model}`, done, total),
    }),
  );
}

function printInspection(inspection: Inspection): void {
  const { quantization, quantizationMethod, vocabularySize, maxPositions } = inspection;
  const method = quantizationMethod === undefined ? '' : `, ${quantizationMethod}`;
  const byOthers = method === '' ? 'no' : `yes${method}, not by ballast`;
  printTable([
    ['model', inspection.model],
    ['type', inspection.modelType],
    ['blocks', `${inspection.blocks}`],
    ['hidden size', `${inspection.hiddenSize}`],
    // Image classifiers have neither.
    ...(vocabularySize === undefined
      ? []
      : [
          ['vocabulary', `${vocabularySize}`],
          ['positions', `${maxPositions ?? 'unlimited'}`],
        ]),
    ['linears', `${inspection.linears}, ${count(inspection.linearParameters)} weights`],
    ['parameters', count(inspection.parameters)],
    ['tensors', `${inspection.tensors}, ${inspection.dtypes.join(', ')}`],
    ['size', bytes(inspection.bytes)],
    ['quantized', quantization === undefined ? byOthers : `yes${method}`],
  ]);
  const { file = '', metadata } = inspection;
  if (metadata !== undefined) printTable(facts(metadata), [file, '']);
  if (quantization !== undefined) printTable(facts(quantization), ['ballast.json', '']);
}

/** The plain values of a record, those of its options included; lists and long texts are for --json. */
function facts(values: Readonly<Record<string, unknown>>): string[][] {
  return Object.entries(values).flatMap(([name, value]) => {
    if (name === 'options' && typeof value === 'object' && value !== null) {
      return facts(value as Record<string, unknown>);
    }
    if (typeof value === 'object' || ![name, value].every(fitsLine)) return [];
    return [[name, String(value)]];
  });
}

/** Whether it is no text that would break a table, or do worse to a terminal. */
function fitsLine(value: unknown): boolean {
  return typeof value !== 'string' || (value.length <= 200 && !/\p{Cc}/u.test(value));
}
