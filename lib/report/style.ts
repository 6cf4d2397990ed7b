// The look of a report: one sheet, colours as variables that follow the reader's light or dark setting, system fonts,
// since a self-contained file brings none. Pairs of colours reach the contrast of WCAG AA on their ground.

export const style = `
:root { color-scheme: light dark; --ground: #f7f6f3; --card: #ffffff; --ink: #1b2530; --soft: #56616d; --rule: #dfe0dd;
  --before: #a9680f; --after: #1263a6; --third: #8a3b7d; --fourth: #2f7a4b;
  --p0: #1263a6; --p1: #a9680f; --p2: #2f7a4b; --p3: #8a3b7d; --p4: #4a7f95; --p5: #8d7a3a; --p6: #9aa2aa; }
@media (prefers-color-scheme: dark) { :root { --ground: #11171d; --card: #19222b; --ink: #e9ecee; --soft: #a3afba; --rule: #2d3843;
  --before: #e5ac55; --after: #6db5f2; --third: #d894cb; --fourth: #7fc79a;
  --p0: #6db5f2; --p1: #e5ac55; --p2: #7fc79a; --p3: #d894cb; --p4: #86bfd4; --p5: #cdbb78; --p6: #6a7681; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 64px; }
header { border-top: 4px solid var(--after); padding-top: 20px; }
h1 { font-size: clamp(1.7rem, 5vw, 2.5rem); line-height: 1.15; margin: 0; letter-spacing: -0.02em; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 4px; letter-spacing: -0.01em; }
p { margin: 0; max-width: 68ch; }
header p { margin-top: 10px; font-size: 1.08rem; }
.soft, section > p { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 24px; margin-top: 20px; min-width: 0; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 20px; align-items: start; margin-top: 20px; }
.pair section { margin-top: 0; }
.tiles { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1px; margin: 28px 0 0; overflow: hidden;
  background: var(--rule); border: 1px solid var(--rule); border-radius: 12px; }
.tiles div { background: var(--card); padding: 14px 18px; display: flex; flex-direction: column; justify-content: flex-end; }
.tiles dt { color: var(--soft); font-size: 0.84rem; line-height: 1.35; }
.tiles dd { margin: 2px 0 0; font-size: clamp(1rem, 4.2vw, 1.4rem); font-weight: 620; letter-spacing: -0.01em; font-variant-numeric: tabular-nums; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 290px), 1fr)); gap: 20px 28px; margin-top: 18px; }
figure { margin: 0; min-width: 0; }
section > figure { margin-top: 18px; }
figcaption { font-weight: 600; font-size: 0.92rem; overflow-wrap: anywhere; }
svg { display: block; }
svg svg { overflow: visible; }
svg text { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
svg text.label { font-size: 14px; fill: var(--ink); paint-order: stroke; stroke: var(--card); stroke-width: 5px; }
.grid { stroke: var(--rule); stroke-width: 1; }
.line { fill: none; stroke-width: 1.75; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.line.before { stroke: var(--before); } .line.after { stroke: var(--after); }
.mark { stroke-width: 1.75; }
.mark.before { fill: var(--card); stroke: var(--before); } .mark.after { fill: var(--after); stroke: var(--after); }
.mark.hollow { fill: var(--card); stroke-dasharray: 2 1.5; }
.model-0 { fill: var(--after); } .model-1 { fill: var(--before); } .model-2 { fill: var(--third); } .model-3 { fill: var(--fourth); }
.phase-0 { fill: var(--p0); } .phase-1 { fill: var(--p1); } .phase-2 { fill: var(--p2); } .phase-3 { fill: var(--p3); }
.phase-4 { fill: var(--p4); } .phase-5 { fill: var(--p5); } .phase-6 { fill: var(--p6); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; list-style: none; margin: 12px 0 0; padding: 0; font-size: 0.92rem; }
.legend li { display: flex; align-items: center; gap: 7px; overflow-wrap: anywhere; }
.swatch { width: 14px; height: 14px; flex: none; display: inline-block; vertical-align: -1px; }
.scroll { overflow-x: auto; margin-top: 16px; }
.scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--after); outline-offset: 3px; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 6px 0 6px 18px; border-bottom: 1px solid var(--rule); white-space: nowrap; font-weight: 400; vertical-align: bottom; }
th:first-child { text-align: left; padding-left: 0; }
thead tr + tr th:first-child { text-align: right; padding-left: 18px; }
thead th { color: var(--soft); font-size: 0.84rem; }
th[colspan] { text-align: center; }
.total th, .total td { border-bottom: 0; font-weight: 620; }
small { color: var(--soft); font-size: 0.86em; margin-left: 6px; }
summary { cursor: pointer; font-size: 1.2rem; font-weight: 620; letter-spacing: -0.01em; }
dl { margin: 14px 0 0; font-size: 0.92rem; }
section dl.wide { columns: 2 380px; column-gap: 48px; }
section dl div { break-inside: avoid; display: flex; justify-content: space-between; gap: 20px; padding: 5px 0; border-bottom: 1px solid var(--rule); }
section dt { color: var(--soft); } section dd { margin: 0; text-align: right; overflow-wrap: anywhere; min-width: 0; }
footer { margin-top: 28px; color: var(--soft); font-size: 0.86rem; overflow-wrap: anywhere; }
@media (max-width: 700px) { .tiles { grid-template-columns: 1fr 1fr; } }
@media (max-width: 560px) { main { padding: 24px 14px 48px; } section { padding: 18px 14px; } .tiles div { padding: 12px 14px; } }
@media print { body { background: none; } section { break-inside: avoid; } }
`;
