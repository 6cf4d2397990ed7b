// Where a run's time went: one bar, its phases side by side, and the table that is its legend and tells their memory.

import { bytes, percent, seconds } from '../number-formats.js';
import { html, type Markup } from './html.js';

type ByPhase = Readonly<Record<string, number>>;

export function phases(times: ByPhase, memory: ByPhase): Markup {
  const { total = 0, ...named } = times;
  const told = Object.entries(named).filter(([, value]) => value > 0);
  const rest = total - told.reduce((sum, [, value]) => sum + value, 0);
  // What lies between the measured phases, such as reading the text.
  const all: [string, number][] = rest > 0 ? [...told, ['other', rest]] : told;
  const whole = all.reduce((sum, [, value]) => sum + value, 0);
  const memoryOf = (name: string) => {
    const value = Object.hasOwn(memory, name) ? memory[name] : undefined;
    return value === undefined ? '–' : bytes(value);
  };
  let begin = 0;
  const parts = all.map(([name, value], i) => {
    const part = { name, value, share: value / whole, begin, look: `phase-${i % 7}` };
    begin += part.share;
    return part;
  });
  return html`<figure><svg width="100%" height="30" role="img" aria-label="Time by phase; the table below has the numbers">
${parts.map(
  ({ name, value, share, begin: from, look }) =>
    html`<rect class="${look}" x="${(from * 100).toFixed(3)}%" width="${(share * 100).toFixed(3)}%" height="30"><title>${name}: ${seconds(value)}</title></rect>`,
)}</svg></figure>
<div class="scroll"><table><thead><tr><th>phase</th><th scope="col">time</th><th scope="col">share</th><th scope="col">memory</th></tr></thead><tbody>
${parts.map(
  ({ name, value, share, look }) =>
    html`<tr><th scope="row"><svg class="swatch" viewBox="0 0 16 16" aria-hidden="true"><rect class="${look}" x="2" y="2" width="12" height="12" rx="2"/></svg> ${name}</th><td>${seconds(value)}</td><td>${percent(share)}</td><td>${memoryOf(name)}</td></tr>`,
)}
<tr class="total"><th scope="row">total</th><td>${seconds(total)}</td><td></td><td></td></tr></tbody></table></div>`;
}
