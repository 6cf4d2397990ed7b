// Small multiples: one panel for each kind of linear (all q_proj, all fc1 …), its blocks from left to right, every
// panel on the same scale, so that a model of any depth stays readable. Places are percentages and letters are not
// scaled, so a panel fits a phone and a desk without a script. Scales and their ticks are d3-scale's.

import { scaleLinear, scaleLog } from 'd3-scale';
import { percent } from '../number-formats.js';
import { html, type Markup } from './html.js';
import type { ReportedLayer } from './report-input.js';

export interface Series {
  readonly label: string;
  /** CSS class, which gives the colour. */
  readonly look: 'before' | 'after';
  readonly value: (layer: ReportedLayer) => number | undefined;
  /** A mark is drawn hollow where this says so. */
  readonly hollow?: (layer: ReportedLayer) => boolean;
}

interface PanelsInput {
  readonly layers: readonly ReportedLayer[];
  readonly series: readonly Series[];
  /** 'log' for errors, which differ by powers of ten; 'linear' from zero for shares. */
  readonly scale: 'log' | 'linear';
}

/** Of a panel: pixels from top to bottom, and what is left free for the labels of the axes. */
const height = 168;
const top = 18;
const bottom = 30;
/** Labels of the vertical axis that stay clear of each other. */
const mostTicks = 7;
/** With more blocks than this, marks are smaller. */
const manyBlocks = 24;
/** Percent of the width; the labels of the vertical axis stand in what is left free. */
const left = 15;
const right = 96;

export function panels({ layers, series, scale }: PanelsInput): Markup {
  const values = layers.flatMap((layer) => series.flatMap(({ value }) => value(layer) ?? []));
  const y = verticalScale(values, scale);
  const blocks = layers.map(({ block }) => block);
  const x = scaleLinear(
    [Math.min(...blocks), Math.max(...blocks, Math.min(...blocks) + 1)],
    [left, right],
  );
  return html`<div class="panels">${[...byKind(layers)].map(([kind, members]) =>
    panel(kind, members, series, x, y),
  )}</div>`;
}

interface VerticalScale {
  /** Pixels from the top. */
  readonly place: (value: number) => number;
  readonly ticks: readonly number[];
}

function verticalScale(values: readonly number[], scale: 'log' | 'linear'): VerticalScale {
  const range = [height - bottom, top];
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  if (scale === 'linear' || most <= 0) {
    const linear = scaleLinear([0, most > 0 ? most : 1], range).nice(4);
    return { place: (value) => linear(Math.max(0, value)), ticks: linear.ticks(4) };
  }
  // What is nothing at all has no logarithm: it stands at the bottom.
  const least = values.reduce((a, b) => (b > 0 ? Math.min(a, b) : a), most);
  const domain = [roundStep(least, Math.floor), roundStep(most * (1 + 1e-9), Math.ceil)];
  const log = scaleLog(domain, range).clamp(true);
  const all = log.ticks();
  const ticksOf = (digits: string) =>
    all.filter((tick) => digits.includes(tick.toExponential()[0] ?? ''));
  const ticks =
    [ticksOf('125'), ticksOf('13')].find(({ length }) => length <= mostTicks) ?? ticksOf('1');
  return { place: (value) => log(Math.max(value, domain[0] ?? least)), ticks };
}

/** The nearest of … 0.1, 0.2, 0.5, 1, 2, 5 … below or above. */
function roundStep(value: number, to: (x: number) => number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const steps = [1, 2, 5, 10].map((step) => step * power);
  const fits = steps.filter((step) => (to === Math.floor ? step <= value : step >= value));
  return (to === Math.floor ? fits.at(-1) : fits[0]) ?? value;
}

/** Layers by their name inside the block, in order of appearance. */
function byKind(layers: readonly ReportedLayer[]): Map<string, ReportedLayer[]> {
  const kinds = new Map<string, ReportedLayer[]>();
  for (const layer of layers) {
    const kind = layer.name.replace(/^.*?\.\d+\./, '');
    const members = kinds.get(kind);
    if (members === undefined) kinds.set(kind, [layer]);
    else members.push(layer);
  }
  return kinds;
}

function panel(
  kind: string,
  layers: readonly ReportedLayer[],
  series: readonly Series[],
  x: (block: number) => number,
  y: VerticalScale,
): Markup {
  const blocks = layers.map(({ block }) => block);
  const shown = blocks.filter((_, i) => i === 0 || i === blocks.length - 1);
  return html`<figure><figcaption>${kind}</figcaption>
<svg width="100%" height="${height}" role="img" aria-label="${summary(kind, layers, series)}">
${y.ticks.map((tick) => gridLine(tick, y))}
${shown.map(
  (block) =>
    html`<text class="tick" x="${x(block)}%" y="${height - 10}" text-anchor="middle">${block}</text>`,
)}
<text class="tick" x="${(left + right) / 2}%" y="${height - 10}" text-anchor="middle">block</text>
${series.map((one) => marks(one, layers, x, y))}
</svg></figure>`;
}

function gridLine(tick: number, y: VerticalScale): Markup {
  const at = y.place(tick).toFixed(1);
  return html`<line class="grid" x1="${left - 2}%" x2="100%" y1="${at}" y2="${at}"/>
<text class="tick" x="${left - 3}%" y="${at}" dy="0.32em" text-anchor="end">${axisPercent(tick)}</text>`;
}

function axisPercent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}

function marks(
  { label, look, value, hollow }: Series,
  layers: readonly ReportedLayer[],
  x: (block: number) => number,
  y: VerticalScale,
): Markup {
  const points = layers.flatMap((layer) => {
    const share = value(layer);
    return share === undefined ? [] : [{ layer, share, at: x(layer.block), down: y.place(share) }];
  });
  const radius = layers.length > manyBlocks ? 2 : 3.5;
  // Lines know no percentages; a viewport of its own stretches them without stretching their stroke.
  const line = points.map(({ at, down }) => `${at.toFixed(2)},${down.toFixed(1)}`).join(' ');
  return html`<svg width="100%" height="${height}" viewBox="0 0 100 ${height}" preserveAspectRatio="none">
<polyline class="line ${look}" points="${line}"/></svg>
${points.map(
  ({ layer, share, at, down }) =>
    html`<circle class="mark ${look}${hollow?.(layer) ? ' hollow' : ''}" cx="${at.toFixed(2)}%" cy="${down.toFixed(1)}" r="${radius}">
<title>${layer.name}: ${label} ${percent(share)}</title></circle>`,
)}`;
}

/** What somebody who cannot see the panel is told. */
function summary(
  kind: string,
  layers: readonly ReportedLayer[],
  series: readonly Series[],
): string {
  const told = series.map(({ label, value }) => {
    const shares = layers.flatMap((layer) => value(layer) ?? []);
    const ends = [Math.min(...shares), Math.max(...shares)].map(percent);
    return `${label} from ${ends[0]} to ${ends[1]}`;
  });
  return `${kind} over ${layers.length} blocks: ${told.join('; ')}`;
}
