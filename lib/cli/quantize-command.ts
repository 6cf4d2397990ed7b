// `ballast quantize`: runs the library's quantize, shows its events as progress and its report as tables or JSON.

import { Command } from 'commander';
import { formats } from '../export/index.js';
import { type LayerReport, type QuantizeOptions, quantize, type RunReport } from '../index.js';
import { defaults, resolveOptions } from '../pipeline/options.js';
import { quantizers } from '../quantizers/index.js';
import { bytes, number as digits, percent, seconds } from './format.js';
import {
  addOptions,
  byteCount,
  list,
  number,
  type OptionTable,
  readOptions,
} from './option-table.js';
import { openProgress, type Progress } from './progress.js';
import { printJson, printTable } from './tables.js';
import { checkUsage } from './usage.js';

const names = (registry: readonly { readonly name: string }[]) =>
  registry.map(({ name }) => name).join(', ');

/** Rows stand in the order of --help. */
const table: OptionTable<QuantizeOptions> = {
  output: { flags: '-o, --output <dir>', help: 'directory for the result', required: true },
  calibration: {
    flags: '-c, --calibration <file>',
    help: 'calibration text: .txt, .jsonl or .parquet',
    required: true,
  },
  method: { flags: '-m, --method <name>', help: `quantizer: ${names(quantizers)}` },
  bits: { flags: '-b, --bits <n>', help: 'bits per weight, 2 to 8', parse: number },
  groupSize: {
    flags: '-g, --group-size <n>',
    help: 'input channels that share a scale; 0: one scale per output channel',
    parse: number,
  },
  symmetric: { flags: '--symmetric', help: 'fix the zero point in the middle of the codes' },
  clip: { flags: '--clip <none|mse>', help: 'how the range of a scale is found' },
  scaleDtype: {
    flags: '--scale-dtype <float32|float16|bfloat16>',
    help: 'what scales are rounded to',
  },
  damping: {
    flags: '--damping <share>',
    help: 'share of the mean diagonal added before a moment is factorised',
    parse: number,
  },
  actOrder: { flags: '--act-order', help: 'sweep columns in order of decreasing moment' },
  staticGroups: {
    flags: '--static-groups',
    help: 'with --act-order: groups are runs of the original columns',
  },
  compensation: {
    flags: '--compensation <none|channel|position>',
    help: 'granularity of the bias that makes good what rounding took',
  },
  sites: { flags: '--sites <linear,block>', help: 'outputs that get a bias', parse: list },
  propagate: {
    flags: '--propagate <float|quantized>',
    help: 'path whose inputs biases are fitted on',
  },
  samples: { flags: '--samples <n>', help: 'calibration samples', parse: number },
  sequenceLength: {
    flags: '--sequence-length <n>',
    help: 'tokens per sample (default: 2048 or what the model supports)',
    parse: number,
  },
  sampling: {
    flags: '--sampling <sequential|random>',
    help: 'samples from the start on, or from random places',
  },
  seed: { flags: '--seed <n>', help: 'seed of everything random', parse: number },
  field: { flags: '--field <name>', help: 'field (JSONL) or column (parquet) of the text' },
  format: {
    flags: '--format <name>',
    help: `what the result is written as: ${names(formats)}`,
  },
  device: { flags: '--device <name>', help: 'a name of `ballast devices`' },
  threads: {
    flags: '--threads <n>',
    help: 'compute threads of a CPU device (default: one per processor)',
    parse: number,
  },
  precision: { flags: '--precision <float32|bfloat16>', help: 'how matrix products are formed' },
  overwrite: { flags: '--overwrite', help: 'replace an existing result' },
  maxShardBytes: {
    flags: '--max-shard-size <size>',
    help: 'size of a weight file at most, such as 500MB',
    parse: byteCount,
    show: bytes,
  },
  token: { flags: '--token <token>', help: 'hub access token (default: HF_TOKEN)' },
};

const methods = quantizers.map(({ name, summary }) => `  ${name.padEnd(8)} ${summary}`).join('\n');

const examples = `
Methods:
${methods}

Examples:
  $ ballast quantize ./model -o ./model-4bit --calibration books.txt
  $ ballast quantize ./model -o ./model-3bit --calibration books.jsonl --field body --bits 3 --group-size 128
  $ ballast quantize ./model -o ./model-2bit --calibration books.txt --bits 2 --clip mse --sites linear,block
  $ ballast quantize ./model -o ./model-4bit --calibration books.txt --json > report.json`;

export function quantizeCommand(signal: AbortSignal): Command {
  const command = new Command('quantize')
    .summary('quantize a model and compensate its error')
    .description(
      'Quantizes the linears of a model, fits a bias to what that took, and writes a model.',
    )
    .argument('<model>', 'model directory, or hub id such as organisation/name');
  addOptions(command, table, defaults);
  return command
    .option('--json', 'print the report, which is also in ballast.json, as JSON')
    .addHelpText('after', examples)
    .action(async (model: string) => {
      const options = readOptions(command, table);
      checkUsage(command, table, () => resolveOptions(options));
      const report = await run(model, { ...options, signal });
      if (command.opts().json) printJson(report);
      else printReport(report, options.output);
    });
}

async function run(model: string, options: QuantizeOptions): Promise<RunReport> {
  const progress = openProgress();
  try {
    return await follow(quantize(model, options), progress);
  } finally {
    progress.end();
  }
}

async function follow(events: ReturnType<typeof quantize>, progress: Progress): Promise<RunReport> {
  let blocks = 0;
  for (;;) {
    const { value, done: finished } = await events.next();
    if (finished) return value;
    switch (value.type) {
      case 'download':
        progress.step(`fetching ${value.file}`, value.done, value.total);
        break;
      case 'start':
        blocks = value.blocks;
        progress.say(`${value.modelType}: ${value.blocks} blocks, ${value.linears} linears`);
        break;
      case 'calibration':
        progress.say(`calibration: ${value.samples} samples, ${value.tokens} tokens`);
        progress.step('quantizing', 0, blocks);
        break;
      case 'block':
        progress.step('quantizing', value.index + 1, value.blocks);
        break;
    }
  }
}

/** How many layers the summary shows. */
const worstLayers = 10;

function printReport(report: RunReport, output: string): void {
  const { options, layers } = report;
  const mean = (pick: (layer: LayerReport) => number) =>
    layers.reduce((sum, layer) => sum + pick(layer), 0) / Math.max(1, layers.length);
  const { total, ...phases } = report.seconds;
  printTable([
    ['model', report.model],
    ['result', output],
    ['method', `${options.method}, ${options.bits} bits`],
    ['bits per weight', digits(report.bitsPerWeight)],
    ['compensation', options.compensation],
    ['calibration', `${report.calibrationTokens} tokens`],
    ['mean error', percent(mean(({ error }) => error))],
    ['mean error with bias', percent(mean(({ errorWithBias }) => errorWithBias))],
    ['time', seconds(total)],
    ...Object.entries(phases).map(([name, value]) => [`  ${name}`, seconds(value)]),
    ['peak memory', bytes(report.peakMemoryBytes)],
  ]);
  const worst = layers.toSorted((a, b) => b.errorWithBias - a.errorWithBias).slice(0, worstLayers);
  printTable(
    worst.map(({ name, error, errorWithBias }) => [name, percent(error), percent(errorWithBias)]),
    ['largest errors', 'error', 'with bias'],
  );
}
