// `ballast search`: tries every combination of sites on held-out calibration samples and writes the model with the best.

import { Command } from 'commander';
import { type SearchOptions, type SearchReport, search } from '../index.js';
import { digits } from '../number-formats.js';
import { searchDefaults } from '../pipeline/options/options.js';
import { resolveOptions, runOptionsOf } from '../pipeline/options/resolve-options.js';
import { scoreOf } from '../pipeline/site-search/scorer.js';
import { addOptions, type OptionTable, readOptions } from './option-table.js';
import { withProgress } from './progress.js';
import { follower, outcome } from './quantize-command.js';
import { quantizeOptions, toldDefaults } from './quantize-options.js';
import { modelArgument } from './recurring-options.js';
import { printJson, printTable } from './tables.js';
import { checkUsage } from './usage.js';

const { sites: _sites, ...rows } = quantizeOptions;
const searchOptions: OptionTable<SearchOptions> = rows;

const examples = `
Examples:
  $ ballast search ./model -o ./model-3bit --calibration books.txt --bits 3
  $ ballast search ./model -o ./model-2bit --calibration books.txt --bits 2 --group-size 64 --json > search.json`;

export function searchCommand(signal: AbortSignal): Command {
  const command = new Command('search')
    .summary('find which outputs to compensate, then quantize with them')
    .description(
      'Quantizes once, fits biases at every combination of sites, scores each by the perplexity of held-out ' +
        "calibration samples (of an image classifier, by how far its predictions are from the float model's), " +
        'and writes the model with the best, which may be none.',
    )
    .argument(...modelArgument);
  addOptions(command, searchOptions, toldDefaults(searchDefaults));
  return command
    .option('--json', 'print candidates and the report as JSON')
    .addHelpText('after', examples)
    .action(async (model: string) => {
      const options = readOptions(command, searchOptions);
      checkUsage(command, searchOptions, () => resolveOptions(runOptionsOf(options)));
      const found = await run(model, { ...options, signal });
      if (command.opts().json) printJson(found);
      else printFound(found);
    });
}

function run(model: string, options: SearchOptions): Promise<SearchReport> {
  return withProgress((progress) => {
    const show = follower(model, progress);
    return outcome(search(model, options), (event) => {
      if (event.type !== 'candidate') return show(event);
      const { candidate } = event;
      progress.say(`${nameOf(candidate.sites)}: ${digits(scoreOf(candidate))}`);
    });
  });
}

function nameOf(sites: readonly string[]): string {
  return sites.length === 0 ? 'none' : sites.join(' + ');
}

const metrics = {
  heldOutPerplexity: 'held-out perplexity',
  heldOutDivergence: 'held-out divergence, nats',
} as const;

function printFound({ candidates, metric, report }: SearchReport): void {
  printTable(
    candidates.map((candidate) => [nameOf(candidate.sites), digits(scoreOf(candidate))]),
    ['sites, best first', metrics[metric]],
  );
  const { compensation, output, sites } = report.options;
  const chosen = compensation === 'none' ? 'none' : `${compensation}, ${nameOf(sites)}`;
  printTable([
    ['compensation', chosen],
    ['result', output],
  ]);
}
