// What is told in rows: every linear with its certificate, and lists of named values such as options.

import { percent } from '../number-formats.js';
import { html, type Markup } from './html.js';
import type { ReportedLayer } from './report-input.js';

const share = (value: number | undefined) =>
  html`<td>${value === undefined ? '–' : percent(value)}</td>`;

export function layerTable(layers: readonly ReportedLayer[]): Markup {
  return html`<div class="scroll" role="region" aria-label="All linears" tabindex="0"><table>
<thead><tr><th rowspan="2">linear</th><th colspan="2" scope="colgroup">calibration</th><th colspan="2" scope="colgroup">held-out</th><th rowspan="2" scope="col">‖b‖²</th><th rowspan="2" scope="col">bias</th></tr>
<tr><th scope="col">error</th><th scope="col">with bias</th><th scope="col">error</th><th scope="col">with bias</th></tr></thead>
<tbody>${layers.map(
    (layer) =>
      html`<tr><th scope="row">${layer.name}</th>${share(layer.error)}${share(layer.errorWithBias)}${share(layer.heldOutError)}${share(layer.heldOutErrorWithBias)}${share(layer.biasEnergy)}<td>${fate(layer)}</td></tr>
`,
  )}</tbody></table></div>`;
}

/** What became of the layer's bias. */
export function fate({ biasKept, biasEnergy }: ReportedLayer): 'kept' | 'dropped' | 'none' {
  if (biasKept) return 'kept';
  return biasEnergy > 0 ? 'dropped' : 'none';
}

/** Any values by their names, as they stand in the file; in two columns where there is room, if `look` is 'wide'. */
export function valueList(values: object, look: 'narrow' | 'wide' = 'narrow'): Markup {
  return html`<dl class="${look}">${Object.entries(values).map(
    ([name, value]) => html`<div><dt>${name}</dt><dd>${written(value)}</dd></div>`,
  )}</dl>`;
}

function written(value: unknown): string {
  if (Array.isArray(value)) return value.map(written).join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
