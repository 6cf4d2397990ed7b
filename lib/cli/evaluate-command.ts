// `ballast evaluate`: perplexities of one model on several texts, or its accuracies on sets of images, as a table or JSON.

import { Command } from 'commander';
import {
  checkEvaluateImagesOptions,
  checkEvaluateOptions,
  evaluationDefaults,
} from '../evaluate/index.js';
import {
  type EvaluateImagesOptions,
  type EvaluateOptions,
  type EvaluationReport,
  evaluate,
  evaluateImages,
  type ImageEvaluationReport,
} from '../index.js';
import { digits } from '../number-formats.js';
import { addOptions, number, type OptionTable, readOptions, repeated } from './option-table.js';
import { withProgress } from './progress.js';
import { modelArgument, recurringOptions, sequenceLengthDefault } from './recurring-options.js';
import { printJson, printTable } from './tables.js';
import { checkUsage } from './usage.js';

const textOptions: OptionTable<Pick<EvaluateOptions, 'texts' | 'sequenceLength' | 'field'>> = {
  texts: {
    flags: '-t, --text <file>',
    help: 'test text: .txt, .jsonl or .parquet; may be given several times',
    parse: repeated,
  },
  sequenceLength: {
    flags: '--sequence-length <n>',
    help: `tokens per window ${sequenceLengthDefault}`,
    parse: number,
  },
  field: recurringOptions.field,
};

const imageOptions: OptionTable<Pick<EvaluateImagesOptions, 'images'>> = {
  images: {
    flags: '-i, --images <path>',
    help: 'labelled images: directory of class folders, list file or .safetensors; may be given several times',
    parse: repeated,
  },
};

const sharedOptions: OptionTable<Omit<EvaluateImagesOptions, 'images'>> = {
  device: recurringOptions.devices,
  threads: recurringOptions.threads,
  precision: recurringOptions.precision,
  token: recurringOptions.token,
};

const examples = `
Examples:
  $ ballast evaluate ./model --text test.txt
  $ ballast evaluate ./model-4bit --text a.txt --text b.txt --sequence-length 512 --json
  $ ballast evaluate ./vit --images ./imagenet/val`;

export function evaluateCommand(signal: AbortSignal): Command {
  const command = new Command('evaluate')
    .summary('perplexity of a model on texts, accuracy on images')
    .description(
      'Perplexity over consecutive non-overlapping windows of each text, or top-1 and top-5 accuracy on labelled images.',
    )
    .argument(...modelArgument);
  addOptions(command, textOptions, evaluationDefaults);
  addOptions(command, imageOptions, evaluationDefaults);
  addOptions(command, sharedOptions, evaluationDefaults);
  return command
    .option('--json', 'print the results as JSON')
    .addHelpText('after', examples)
    .action(async (model: string) => {
      const { json } = command.opts();
      if (readOptions(command, imageOptions).images === undefined) {
        const table = { ...textOptions, ...sharedOptions };
        const options = readOptions<EvaluateOptions>(command, table);
        if (options.texts === undefined) {
          command.error(
            "error: required option '-t, --text <file>' or '-i, --images <path>' missing",
          );
        }
        checkUsage(command, table, () => checkEvaluateOptions(options));
        const report = await onTexts(model, { ...options, signal });
        if (json) printJson(report);
        else printTexts(report);
      } else {
        if (readOptions(command, textOptions).texts !== undefined) {
          command.error(
            "error: expected '--text' or '--images', not both: a model reads one of them",
          );
        }
        const table = { ...textOptions, ...imageOptions, ...sharedOptions };
        // Options of texts are passed on too: the library refuses them.
        const options = readOptions<EvaluateImagesOptions>(command, table);
        checkUsage(command, table, () => checkEvaluateImagesOptions(options));
        const report = await onImages(model, { ...options, signal });
        if (json) printJson(report);
        else printImages(report);
      }
    });
}

function onTexts(model: string, options: EvaluateOptions): Promise<EvaluationReport> {
  return withProgress((progress) =>
    evaluate(model, {
      ...options,
      onProgress(event) {
        const phase = event.type === 'download' ? `fetching ${model}` : event.text;
        progress.step(phase, event.done, event.total);
      },
    }),
  );
}

function onImages(model: string, options: EvaluateImagesOptions): Promise<ImageEvaluationReport> {
  return withProgress((progress) =>
    evaluateImages(model, {
      ...options,
      onProgress(event) {
        const phase = event.type === 'download' ? `fetching ${model}` : event.images;
        progress.step(phase, event.done, event.total);
      },
    }),
  );
}

function printImages({ results }: ImageEvaluationReport): void {
  printTable(
    results.map(({ images, top1, top5, count }) => [
      images,
      `${digits(top1)} %`,
      `${digits(top5)} %`,
      `${count}`,
    ]),
    ['images', 'top-1', 'top-5', 'count'],
  );
}

function printTexts({ results, sequenceLength }: EvaluationReport): void {
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
