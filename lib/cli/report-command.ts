// `ballast report`: a result's ballast.json as one HTML file to look at, pass on or keep.

import { join } from 'node:path';
import { Command } from 'commander';
import { readJsonObject } from '../checkpoint/bounded-json.js';
import { reportFile } from '../checkpoint/output/result-files.js';
import { writeWholeFile } from '../checkpoint/output/whole-file.js';
import { BallastError } from '../errors.js';
import { type ReportedEvaluation, type ReportInput, renderReport } from '../index.js';
import { repeated } from './option-table.js';
import { printJson } from './tables.js';

const examples = `
Examples:
  $ ballast report ./model-3bit
  $ ballast evaluate ./model --text test.txt --json > float.json
  $ ballast evaluate ./model-3bit --text test.txt --json > quantized.json
  $ ballast report ./model-3bit -o report.html --evaluation float.json --evaluation quantized.json`;

export function reportCommand(): Command {
  const command = new Command('report')
    .summary('a quantization as an HTML file')
    .description(
      'Draws what `ballast quantize` left in ballast.json as one self-contained HTML file.',
    )
    .argument('<dir>', 'result of `ballast quantize`')
    .option('-o, --output <file>', 'the HTML file (default: report.html in <dir>)')
    .option(
      '-e, --evaluation <file>',
      'what `ballast evaluate --text … --json` printed; may be given several times, the float model first',
      repeated,
    )
    .option('--json', 'print the name of the file as JSON')
    .addHelpText('after', examples);
  return command.action(async (directory: string) => {
    const options = command.opts<{ output?: string; evaluation?: string[]; json?: true }>();
    const output = options.output ?? join(directory, 'report.html');
    const source = join(directory, reportFile);
    const report = (await readObject(source)) as unknown as ReportInput;
    const evaluations = await Promise.all((options.evaluation ?? []).map(readObject));
    const page = renderReport(report, {
      source,
      evaluations: evaluations as unknown as ReportedEvaluation[],
    });
    await writeWholeFile(output, page, 'writing the report');
    if (options.json) printJson({ output });
    else process.stdout.write(`${output}\n`);
  });
}

async function readObject(path: string): Promise<Record<string, unknown>> {
  const value = await readJsonObject(path);
  if (value !== undefined) return value;
  throw new BallastError(
    'ERR_IO',
    `Expected a file ${path} but there is none: \`ballast quantize\` leaves a ballast.json, and \`ballast evaluate --json\` prints what --evaluation takes.`,
  );
}
