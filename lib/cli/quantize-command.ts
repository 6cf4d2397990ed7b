// `ballast quantize`: runs the library's quantize, shows its events as progress and its report as tables or JSON.

import { Command } from 'commander';
import {
  type LayerReport,
  type MemoryPlan,
  type ObservationPasses,
  planMemory,
  type QuantizeEvent,
  type QuantizeOptions,
  quantize,
  type RunReport,
} from '../index.js';
import { architectures } from '../models/index.js';
import { bytes, digits, percent, seconds } from '../number-formats.js';
import { defaults } from '../pipeline/options/options.js';
import { resolveOptions } from '../pipeline/options/resolve-options.js';
import { quantizers } from '../quantizers/index.js';
import { addOptions, readOptions } from './option-table.js';
import { type Progress, withProgress } from './progress.js';
import { quantizeOptions, toldDefaults } from './quantize-options.js';
import { modelArgument } from './recurring-options.js';
import { alike, printJson, printTable } from './tables.js';
import { checkUsage } from './usage.js';

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
    .argument(...modelArgument);
  addOptions(command, quantizeOptions, toldDefaults(defaults));
  return command
    .option('--plan', 'print what the run will hold in memory, and do nothing else')
    .option('--json', 'print the report, which is also in ballast.json, as JSON')
    .addHelpText('after', examples)
    .action(async (model: string) => {
      const options = readOptions(command, quantizeOptions);
      checkUsage(command, quantizeOptions, () => resolveOptions(options));
      const { json, plan } = command.opts();
      if (plan) {
        printPlan(await planMemory(model, { ...options, signal }), json);
        return;
      }
      const report = await run(model, { ...options, signal });
      if (json) printJson(report);
      else printReport(report, options.output);
    });
}

function run(model: string, options: QuantizeOptions): Promise<RunReport> {
  return withProgress((progress) => outcome(quantize(model, options), follower(model, progress)));
}

/** Of a run whose events are shown. */
export async function outcome<Event, Report>(
  events: AsyncGenerator<Event, Report>,
  show: (event: Event) => void,
): Promise<Report> {
  for (;;) {
    const { value, done } = await events.next();
    if (done) return value;
    show(value);
  }
}

/** What shows each event of a run. */
export function follower(model: string, progress: Progress): (event: QuantizeEvent) => void {
  let blocks = 0;
  return (event) => {
    switch (event.type) {
      case 'download':
        progress.step(`fetching ${model}`, event.done, event.total);
        break;
      case 'start':
        blocks = event.blocks;
        progress.say(`${event.modelType}: ${blocks} blocks, ${event.linears} linears`);
        if (event.dropped.length > 0) {
          progress.say(
            `no bias fitted in ${alike(event.dropped)}: what loads the result would drop it` +
              rewriteHint(event.modelType),
          );
        }
        if (event.unread.length > 0) {
          progress.say(
            `only ballast evaluate reads ${event.unread.join(' and ')} in this format; other programs run without, ` +
              'with larger errors than reported',
          );
        }
        break;
      case 'calibration':
        progress.say(`calibration: ${event.samples} samples, ${event.tokens} tokens`);
        progress.step('quantizing', 0, blocks);
        break;
      case 'block':
        progress.step('quantizing', event.index + 1, blocks);
        break;
    }
  };
}

/** What keeps biases that the model's own architecture has no place for. */
function rewriteHint(type: string): string {
  const { rewrites } = architectures.find(({ modelType }) => modelType === type) ?? {};
  return rewrites === undefined ? '' : '; --as-llama keeps it, where that is exact';
}

function printPlan(plan: MemoryPlan, json: boolean): void {
  if (json) {
    printJson(plan);
    return;
  }
  printTable(
    [
      ...plan.parts.map((part) => [part.what, bytes(part.bytes)]),
      ['together', bytes(plan.bytes)],
      ['besides, where there is room', bytes(plan.heldBytes)],
      ...(plan.passes === undefined ? [] : [['passes to observe a block', told(plan.passes)]]),
    ],
    [
      `memory for ${plan.tokens} tokens${plan.devices > 1 ? `, each of ${plan.devices} devices` : ''}`,
      'size',
    ],
  );
}

function told({ most, fewest }: ObservationPasses): string {
  return most === fewest ? `${most}` : `${most}, ${fewest} with all of that besides`;
}

/** How many layers the summary shows. */
const worstLayers = 10;

function printReport(report: RunReport, output: string): void {
  const { options, layers } = report;
  const mean = (pick: (layer: LayerReport) => number | undefined) => {
    const values = layers.flatMap((layer) => pick(layer) ?? []);
    return share(values.reduce((sum, value) => sum + value, 0) / values.length);
  };
  const { total, ...phases } = report.seconds;
  const unreached = layers.filter(({ tokens }) => tokens === 0);
  printTable([
    ['model', report.model],
    ['result', output],
    ['method', `${options.method}, ${options.bits} bits`],
    ['bits per weight', digits(report.bitsPerWeight)],
    ['compensation', options.compensation],
    ['calibration', `${report.calibrationTokens} tokens, ${report.heldOutTokens} held out`],
    ['mean error', mean(({ error }) => error)],
    ['mean error with bias', mean(({ errorWithBias }) => errorWithBias)],
    ['held out', mean(({ heldOutError }) => heldOutError)],
    ['held out with bias', mean(resultOnHeldOut)],
    ['biases kept', `${layers.filter(({ biasKept }) => biasKept).length} of ${layers.length}`],
    ...(report.dropped.length > 0 ? [['no bias fitted in', alike(report.dropped)]] : []),
    ...(unreached.length > 0 ? [['no token came to', `${unreached.length} linears`]] : []),
    ['computed by', `${report.environment.device}, ${options.precision} products`],
    ['time', seconds(total)],
    ...Object.entries(phases).map(([name, value]) => [`  ${name}`, seconds(value)]),
    ['peak memory', bytes(report.peakMemoryBytes)],
  ]);
  const worst = layers.toSorted((a, b) => b.errorWithBias - a.errorWithBias).slice(0, worstLayers);
  printTable(worst.map(certificateRow), [
    'largest errors',
    'error',
    'with bias',
    'held out',
    'with bias',
    'bias',
  ]);
}

/** On held-out data, as the layer is: a bias that was not kept has no part in it. */
function resultOnHeldOut(layer: LayerReport): number | undefined {
  return layer.biasKept ? layer.heldOutErrorWithBias : layer.heldOutError;
}

function certificateRow(layer: LayerReport): string[] {
  const { name, error, errorWithBias, heldOutError, heldOutErrorWithBias } = layer;
  const shares = [error, errorWithBias, heldOutError, heldOutErrorWithBias].map(share);
  return [name, ...shares, layer.biasKept ? 'kept' : layer.biasEnergy > 0 ? 'dropped' : 'none'];
}

/** A share that may not have been measured. */
function share(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? '–' : percent(value);
}
