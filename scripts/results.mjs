// Makes the tables of docs/results.md: quantizes and evaluates every cell of a grid (results/grid.mjs) that the cache
// does not hold yet, then writes the tables from what the cache holds. It may be stopped at any time and goes on where it
// was. After a change to the numerics, start with an empty cache.
//
//   node scripts/results.mjs [--only <pattern> …] [--cache <dir>] [--shared <dir>] [--list | --tables]

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { claimTable } from './results/claims.mjs';
import { Figures, meanError, meanPerplexity } from './results/figures.mjs';
import { grid } from './results/grid.mjs';
import { Measurements } from './results/measure.mjs';
import { clipTable, floatTable, gridTables, pathTable, shiftedTable } from './results/tables.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = path.join(root, 'docs/results.md');

const { values } = parseArgs({
  options: {
    /** Regular expressions on the names of cells; a cell that any of them matches is run. */
    only: { type: 'string', multiple: true, default: ['.'] },
    cache: { type: 'string', default: path.join(root, 'build/results') },
    shared: { type: 'string', default: path.join(root, '../shared') },
    /** Only name the cells. */
    list: { type: 'boolean', default: false },
    /** Only write the tables. */
    tables: { type: 'boolean', default: false },
  },
});

const measurements = new Measurements(values);
const wanted = values.only.map((pattern) => new RegExp(pattern));
const chosen = grid().filter(({ id }) => wanted.some((pattern) => pattern.test(id)));

if (values.list) {
  for (const cell of chosen) console.log(measurements.find(cell) ? 'done' : '    ', cell.id);
} else {
  if (!values.tables) await runAll();
  writeTables();
}

async function runAll() {
  if (!existsSync(values.shared)) {
    console.error(`results: no ${values.shared}; --shared names the folder with models/ and data/`);
    process.exit(1);
  }
  mkdirSync(values.cache, { recursive: true });
  for (const name of new Set(chosen.map(({ model }) => model))) {
    if (!measurements.findFloat(name)) await measurements.runFloat(name);
  }
  const missing = chosen.filter((cell) => !measurements.find(cell));
  console.log(`${chosen.length - missing.length} of ${chosen.length} cells are there`);
  const startedAt = performance.now();
  for (const [i, cell] of missing.entries()) {
    const refused = await measurements.run(cell);
    const minutes = (performance.now() - startedAt) / 60_000;
    const left = `${i + 1}/${missing.length}, ${((minutes / (i + 1)) * (missing.length - i - 1)).toFixed(0)} min left`;
    console.log(`${cell.id}: ${refused ?? describe(measurements.find(cell))} (${left})`);
  }
}

function describe(found) {
  const error = (meanError(found) * 100).toFixed(3);
  return `perplexity ${meanPerplexity(found).toFixed(2)}, held-out error ${error} %`;
}

/** Fills what stands between the marks of the page: <!-- name --> … <!-- /name -->. */
function writeTables() {
  const found = grid().flatMap((cell) => measurements.find(cell) ?? []);
  const float = ['opt-7m', 'opt-7m-shifted'].flatMap((name) => {
    const measured = measurements.findFloat(name);
    return measured ? [[name, measured.perplexities]] : [];
  });
  const figures = new Figures(new Map(found.map((cell) => [cell.id, cell])), new Map(float));
  const tables = {
    claims: claimTable(figures),
    float: floatTable(figures),
    grid: gridTables(figures),
    shifted: shiftedTable(figures),
    paths: pathTable(figures),
    clip: clipTable(figures),
    made: `${found.length} of ${grid().length} cells, Ballast ${found[0]?.ballast ?? '–'}, ${found[0]?.environment.device ?? '–'}.`,
  };
  let text = readFileSync(page, 'utf8');
  for (const [name, table] of Object.entries(tables)) {
    const marks = new RegExp(`(<!-- ${name} -->\n)[\\s\\S]*?(<!-- /${name} -->)`);
    if (!marks.test(text)) throw new Error(`docs/results.md has no place for ${name}.`);
    text = text.replace(marks, (_, begin, end) => `${begin}\n${table}\n\n${end}`);
  }
  writeFileSync(page, text);
  console.log(`${page}: tables of ${found.length} cells`);
}
