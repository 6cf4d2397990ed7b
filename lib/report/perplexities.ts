// Perplexities of one or more models on the same texts: dots on a common axis, which need not begin at zero as bars
// would have to, and a table of the same numbers with the change against the first model.

import { scaleLinear } from 'd3-scale';
import { digits } from '../number-formats.js';
import { html, type Markup } from './html.js';
import type { ReportedEvaluation } from './report-input.js';

const rowHeight = 46;
const axisHeight = 26;
/** Percent of the width. */
const left = 6;
const right = 94;

export function perplexities(evaluations: readonly ReportedEvaluation[]): Markup {
  const names = modelNames(evaluations.map(({ model }) => model));
  const texts = [...new Set(evaluations.flatMap(({ results }) => results.map(({ text }) => text)))];
  const rows = texts.map((text) => ({
    text,
    values: evaluations.map(({ results }) => results.find((result) => result.text === text)),
  }));
  const all = rows.flatMap(({ values }) => values.flatMap((value) => value?.perplexity ?? []));
  const x = scaleLinear([Math.min(...all), Math.max(...all)], [left, right]).nice(4);
  const height = rows.length * rowHeight + axisHeight;
  return html`<ul class="legend">${names.map((name, i) => html`<li>${swatch(i)} ${name}</li>`)}</ul>
<figure><svg width="100%" height="${height}" role="img" aria-label="Perplexity of ${names.join(', ')} on ${texts.join(', ')}; the table below has the numbers">
${x.ticks(4).map((tick) => verticalLine(tick, x(tick), height))}
${rows.map(
  ({ text, values }, row) =>
    html`<text class="label" x="0" y="${row * rowHeight + 15}">${text}</text>
<line class="grid" x1="0" x2="100%" y1="${row * rowHeight + 30}" y2="${row * rowHeight + 30}"/>
${values.map((value, i) =>
  value === undefined
    ? undefined
    : dot(
        i,
        `${x(value.perplexity).toFixed(2)}%`,
        row * rowHeight + 30,
        `${names[i]} on ${text}: ${digits(value.perplexity)}`,
      ),
)}`,
)}</svg></figure>
<div class="scroll" role="region" aria-label="Perplexities" tabindex="0"><table><thead><tr><th>text</th>${names.map(
    (name) => html`<th scope="col">${name}</th>`,
  )}</tr></thead><tbody>${rows.map(
    ({ text, values }) =>
      html`<tr><th scope="row">${text}</th>${values.map((value, i) =>
        cell(value?.perplexity, i === 0 ? undefined : values[0]?.perplexity),
      )}</tr>`,
  )}</tbody></table></div>`;
}

/** Last parts of paths, unless two of them are the same. */
function modelNames(models: readonly string[]): readonly string[] {
  const short = models.map(
    (model) =>
      model
        .replace(/[/\\]+$/, '')
        .split(/[/\\]/)
        .at(-1) ?? model,
  );
  return new Set(short).size === short.length ? short : models;
}

function verticalLine(value: number, x: number, height: number): Markup {
  return html`<line class="grid" x1="${x}%" x2="${x}%" y1="20" y2="${height - axisHeight + 4}"/>
<text class="tick" x="${x}%" y="${height - 6}" text-anchor="middle">${value}</text>`;
}

/** Models differ by colour and by shape: circles, squares, diamonds and triangles in turn. */
const shapes = [
  'M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0z',
  'M-4.5,-4.5h9v9h-9z',
  'M0,-6.5l6.5,6.5l-6.5,6.5l-6.5,-6.5z',
  'M0,-6l6,10.5h-12z',
] as const;

function dot(index: number, x: string, y: number, title: string): Markup {
  // A nested viewport brings the shape to a place in percent.
  return html`<svg x="${x}" y="${y}" overflow="visible"><path class="model-${index % 4}" d="${shapes[index % 4] ?? shapes[0]}"><title>${title}</title></path></svg>`;
}

function swatch(index: number): Markup {
  return html`<svg class="swatch" viewBox="-8 -8 16 16" aria-hidden="true"><path class="model-${index % 4}" d="${shapes[index % 4] ?? shapes[0]}"/></svg>`;
}

function cell(value: number | undefined, reference: number | undefined): Markup {
  if (value === undefined) return html`<td>–</td>`;
  if (reference === undefined) return html`<td>${digits(value)}</td>`;
  const change = (value / reference - 1) * 100;
  const sign = change < 0 ? '−' : '+';
  return html`<td>${digits(value)} <small>${sign}${Math.abs(change).toFixed(2)} %</small></td>`;
}
