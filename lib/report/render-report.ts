// One quantization as a page: a self-contained HTML file that loads nothing and runs nothing (its policy forbids both),
// made of what ballast.json says and, where given, perplexities. The same numbers stand in tables for those who cannot
// see the charts.

import { BallastError } from '../errors.js';
import { bytes, digits, percent, seconds } from '../number-formats.js';
import { html, Markup } from './html.js';
import { panels, type Series } from './panels.js';
import { perplexities } from './perplexities.js';
import { phases } from './phases.js';
import {
  checkEvaluation,
  checkReport,
  type ReportedEvaluation,
  type ReportedLayer,
  type ReportInput,
} from './report-input.js';
import { style } from './style.js';
import { fate, layerTable, valueList } from './tables.js';

export interface ReportOptions {
  /** Perplexities to show, of the float model first, say; changes are told against the first. */
  readonly evaluations?: readonly ReportedEvaluation[];
  /** What errors call the report: the file that it was read from, say. Default 'the report'. */
  readonly source?: string;
}

/**
 * The HTML of a report. Nothing in it is loaded from elsewhere, no script is needed, and every value is escaped.
 * Errors: ERR_DATA for a report or an evaluation that lacks a field or has one of another kind.
 *
 * @example
 * await writeFile('report.html', renderReport(report, { evaluations: [await evaluate(model, { texts })] }));
 */
export function renderReport(report: ReportInput, options: ReportOptions = {}): string {
  const { evaluations = [], source = 'the report' } = options;
  checkReport(report, source);
  evaluations.forEach((evaluation, i) => {
    checkEvaluation(evaluation, i + 1);
  });
  if (report.layers.length === 0) {
    throw new BallastError('ERR_DATA', `Expected at least one layer in ${source}.`);
  }
  const { bits } = report.options;
  const title = `${lastPart(report.model)} at ${bits} bits`;
  const times = report.seconds as Readonly<Record<string, number>>;
  const memory = report.memoryBytes as Readonly<Record<string, number>>;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${new Markup(style)}</style>
</head>
<body>
<main>
${header(report, title)}
${evaluations.length === 0 ? undefined : section('Perplexity', perplexityNote(evaluations), perplexities(evaluations))}
${errorSections(report.layers)}
${biasSection(report.layers)}
<section><details><summary>All ${report.layers.length} linears in a table</summary>${layerTable(report.layers)}</details></section>
<div class="pair">
${section('Time and memory', `${bytes(report.peakMemoryBytes)} of memory at the peak; of a phase, what was resident as it ended.`, phases(times, memory))}
${section('Environment', '', valueList({ ...report.environment, ballast: report.ballast, format: report.format }))}
</div>
${section('Options', '', valueList(report.options, 'wide'))}
<footer>Made by Ballast ${report.ballast} from ballast.json of a ${report.modelType} model. Source checkpoint ${report.fingerprint}.</footer>
</main>
</body>
</html>
`;
  return page.text;
}

function section(title: string, note: string, content: Markup): Markup {
  return html`<section><h2>${title}</h2>${note === '' ? undefined : html`<p>${note}</p>`}
${content}
</section>`;
}

function header(report: ReportInput, title: string): Markup {
  const { layers, calibrationTokens, heldOutTokens } = report;
  const { method } = report.options;
  const fates = layers.map(fate);
  const count = (wanted: string) => fates.filter((one) => one === wanted).length;
  const tiles = [
    ['bits per weight', digits(report.bitsPerWeight, 3)],
    [
      'mean error, calibration data',
      change(
        mean(layers, ({ error }) => error),
        mean(layers, ({ errorWithBias }) => errorWithBias),
      ),
    ],
    [
      'mean error, held-out data',
      change(
        mean(layers, ({ heldOutError }) => heldOutError),
        mean(layers, heldOutResult),
      ),
    ],
    ['biases kept', `${count('kept')} of ${layers.length}`],
    ['time', seconds((report.seconds as { total: number }).total)],
    ['peak memory', bytes(report.peakMemoryBytes)],
  ] as const;
  const dropped = count('dropped');
  return html`<header><h1>${title}</h1>
<p>${layers.length} linears quantized by ${method}. Errors are squared errors of a linear’s output relative to its energy, before and after the bias; ${
    dropped === 0
      ? 'no bias was dropped'
      : `${dropped} of the fitted biases did not help held-out data and were dropped`
  }. Fitted on ${calibrationTokens.toLocaleString('en')} tokens, judged on ${heldOutTokens.toLocaleString('en')} others.</p>
<dl class="tiles">${tiles.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</header>`;
}

function perplexityNote(evaluations: readonly ReportedEvaluation[]): string {
  const lengths = [...new Set(evaluations.map(({ sequenceLength }) => sequenceLength))];
  return `Lower is better. Windows of ${lengths.join(' and ')} tokens; the axis does not begin at zero.`;
}

/** On held-out data, as the layer is: with its bias where that was kept. */
function heldOutResult(layer: ReportedLayer): number | undefined {
  return layer.biasKept ? layer.heldOutErrorWithBias : layer.heldOutError;
}

function errorSections(layers: readonly ReportedLayer[]): Markup {
  const calibration: Series[] = [
    { label: 'without bias', look: 'before', value: ({ error }) => error },
    { label: 'with bias', look: 'after', value: ({ errorWithBias }) => errorWithBias },
  ];
  const heldOut: Series[] = [
    { label: 'without bias', look: 'before', value: ({ heldOutError }) => heldOutError },
    { label: 'with bias', look: 'after', value: heldOutResult },
  ];
  const draw = (series: readonly Series[]) =>
    html`${legend(series)}${panels({ layers, series, scale: 'log' })}`;
  const judged = layers.some(({ heldOutError }) => heldOutError !== undefined);
  return html`${section('Error on calibration data', 'One panel for each kind of linear, blocks from left to right, on one logarithmic scale.', draw(calibration))}
${judged ? section('Error on held-out data', 'What the same layers lose on tokens that nothing was fitted on.', draw(heldOut)) : undefined}`;
}

function biasSection(layers: readonly ReportedLayer[]): Markup | undefined {
  if (layers.every((layer) => fate(layer) === 'none')) return undefined;
  const series: Series[] = [
    {
      label: '‖b‖²',
      look: 'after',
      value: ({ biasEnergy }) => biasEnergy,
      hollow: (layer) => !layer.biasKept,
    },
  ];
  return section(
    'Size of the biases',
    'Energy of each layer’s bias relative to that of its output; hollow where it was dropped.',
    panels({ layers, series, scale: 'linear' }),
  );
}

function legend(series: readonly Series[]): Markup {
  return html`<ul class="legend">${series.map(
    ({ label, look }) =>
      html`<li><svg class="swatch" viewBox="-7 -7 14 14" aria-hidden="true"><circle class="mark ${look}" r="4.5"/></svg>${label}</li>`,
  )}</ul>`;
}

/** Mean over the layers that have the value; undefined where none has. */
function mean(
  layers: readonly ReportedLayer[],
  pick: (layer: ReportedLayer) => number | undefined,
): number | undefined {
  const values = layers.flatMap((layer) => pick(layer) ?? []);
  if (values.length === 0) return undefined;
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Without and with bias. */
function change(before: number | undefined, after: number | undefined): string {
  if (before === undefined || after === undefined) return '–';
  return `${percent(before)} → ${percent(after)}`;
}

function lastPart(path: string): string {
  return (
    path
      .replace(/[/\\]+$/, '')
      .split(/[/\\]/)
      .at(-1) ?? path
  );
}
