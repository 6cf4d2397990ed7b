// Tables in Markdown, from figures. A cell that has not been run is a dash.

import { deviation, mean, meanError, meanPerplexity } from './figures.mjs';
import { fits, methods, paths, schemes, texts, withoutRefit } from './grid.mjs';

const schemeNames = {
  w4: '4 bits',
  w3: '3 bits',
  w2g64: '2 bits, groups of 64',
  w2: '2 bits',
};
const fitNames = {
  none: 'no bias',
  sequential: 'sequential',
  joint: 'joint',
  asymmetric: 'joint, float target',
  position: 'per position',
};

const table = (head, rows) =>
  [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');

const perplexity = (cells, of = meanPerplexity) => spread(cells.map(of), 2);
const error = (cells) =>
  spread(
    cells.map((cell) => meanError(cell) * 100),
    3,
  );

function spread(values, digits) {
  if (values.length === 0) return '–';
  const text = mean(values).toFixed(digits);
  return values.length === 1 ? text : `${text} ± ${deviation(values).toFixed(digits)}`;
}

/** Rows of methods, columns of fits, at one scheme. */
function byMethod(figures, place, show, columns = Object.keys(fits)) {
  const rows = Object.keys({ ...methods, ...withoutRefit }).map((method) => [
    method,
    ...columns.map((fit) => show(figures.at({ ...place, method, fit }))),
  ]);
  return table(['', ...columns.map((fit) => fitNames[fit])], rows);
}

export function gridTables(figures) {
  const model = 'opt-7m';
  return Object.keys(schemes)
    .map((scheme) => {
      const place = { model, scheme };
      const single = texts.map(
        (text, i) =>
          `${text}, float ${figures.float.get(model)?.[i].toFixed(2) ?? '–'}\n\n${byMethod(
            figures,
            place,
            (cells) => perplexity(cells, ({ perplexities }) => perplexities[i]),
          )}`,
      );
      return `### ${schemeNames[scheme]}

Perplexity, mean of the three texts:

${byMethod(figures, place, perplexity)}

Error of a linear on held-out tokens, mean over linears, percent:

${byMethod(figures, place, error)}

<details><summary>Each text</summary>

${single.join('\n\n')}

</details>`;
    })
    .join('\n\n');
}

export function floatTable(figures) {
  const rows = ['opt-7m', 'opt-7m-shifted'].map((model) => {
    const values = figures.float.get(model);
    const shown = values ? [...values, mean(values)].map((value) => value.toFixed(2)) : [];
    return [model, ...texts.map((_, i) => shown[i] ?? '–'), shown.at(-1) ?? '–'];
  });
  return table(['float', ...texts, 'mean'], rows);
}

export function shiftedTable(figures) {
  const columns = ['none', 'sequential', 'joint', 'asymmetric'];
  const of = (model) => byMethod(figures, { model, scheme: 'w3' }, perplexity, columns);
  return `opt-7m-shifted:\n\n${of('opt-7m-shifted')}\n\nopt-7m:\n\n${of('opt-7m')}`;
}

export function pathTable(figures) {
  const places = [...Object.keys(paths), undefined];
  const rows = ['w3', 'w2g64'].flatMap((scheme) =>
    places.map((path) => [
      `${schemeNames[scheme]}, ${path ?? 'quantized, true-sequential'}`,
      ...['sequential', 'joint'].map((fit) =>
        perplexity(figures.at({ model: 'opt-7m', scheme, method: 'GPTQ', fit, path })),
      ),
    ]),
  );
  return table(['GPTQ, inputs of', 'sequential', 'joint'], rows);
}

export function clipTable(figures) {
  const columns = ['none', 'sequential', 'joint'];
  const rows = ['w3', 'w2g64'].flatMap((scheme) =>
    [undefined, true].flatMap((clip) => {
      const cells = columns.map((fit) =>
        figures.at({ model: 'opt-7m', scheme, method: 'GPTQ', fit, clip }),
      );
      const name = `${schemeNames[scheme]}, ${clip ? 'range searched' : 'full range'}`;
      return [
        [`${name}: perplexity`, ...cells.map((found) => perplexity(found))],
        [`${name}: held-out error, %`, ...cells.map(error)],
      ];
    }),
  );
  return table(['GPTQ', ...columns.map((fit) => fitNames[fit])], rows);
}
