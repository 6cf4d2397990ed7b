// Makes the tables of docs/results-vision.md: quantizes vit-cifar in every cell of a grid that the cache does not hold yet,
// measures its top-1 on the whole test set, then writes the tables from what the cache holds. It may be stopped at any
// time and goes on where it was.
//
//   npm run compile:ts && node scripts/results-vision.mjs [--only <pattern> …] [--cache <dir>] [--shared <dir>] [--tables]

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = path.join(root, 'docs/results-vision.md');
const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: ['.'] },
    cache: { type: 'string', default: path.join(root, 'build/results-vision') },
    shared: { type: 'string', default: path.join(root, '../shared') },
    tables: { type: 'boolean', default: false },
  },
});

const precisions = ['w8a8', 'w6a6', 'w4a4', 'w3a3', 'w2a3'];
const sampleCounts = [128, 32];
const seeds = [0, 1, 2];
const methods = {
  'BasePTQ, linears': { activationRange: 'minmax', activationSites: ['linear'] },
  BasePTQ: { activationRange: 'minmax' },
  EasyQuant: { activationRange: 'cosine', weightSearch: 'cosine' },
  'PTQ4ViT, activations': { activationRange: 'hessian', activationTwin: true },
  PTQ4ViT: { activationRange: 'hessian', activationTwin: true, weightSearch: 'hessian' },
};
/** Subsets of the sites that are fitted. */
const siteSets = [
  ['linear'],
  ['matmul'],
  ['block'],
  ['linear', 'block'],
  ['linear', 'attention', 'mlp', 'block'],
];
const compensations = {
  none: { compensation: 'none' },
  // A bias of final hidden states is one per channel.
  ...fitted('channel', [...siteSets, ['mlp', 'model']]),
  ...fitted('position', siteSets),
};

function fitted(compensation, sets) {
  return Object.fromEntries(
    sets.map((sites) => [`${compensation}: ${sites.join(' + ')}`, { compensation, sites }]),
  );
}

function* cells() {
  for (const samples of sampleCounts) {
    for (const precision of precisions) {
      for (const method of Object.keys(methods)) {
        for (const compensation of Object.keys(compensations)) {
          for (const seed of seeds) {
            const id = `${samples}/${precision}/${method}/${compensation}/${seed}`;
            yield { id, samples, precision, method, compensation, seed };
          }
        }
      }
    }
  }
}

const fileOf = (id) => path.join(values.cache, `${id.replaceAll(/[/,: +]+/g, '-')}.json`);
const find = (id) =>
  existsSync(fileOf(id)) ? JSON.parse(readFileSync(fileOf(id), 'utf8')) : undefined;

async function top1(evaluateImages, model) {
  const images = [path.join(values.shared, 'data/cifar-test.safetensors')];
  return (await evaluateImages(model, { images })).results[0].top1;
}

async function measure({ quantize, evaluateImages }, cell) {
  const folder = mkdtempSync(path.join(tmpdir(), 'ballast-results-'));
  const [, bits, activationBits] = cell.precision.match(/w(\d)a(\d)/).map(Number);
  const output = path.join(folder, 'model');
  try {
    const events = quantize(path.join(values.shared, 'models/vit-cifar'), {
      calibration: path.join(values.shared, 'data/cifar-calibration.safetensors'),
      samples: cell.samples,
      seed: cell.seed,
      method: 'rtn',
      bits,
      activationBits,
      activationSites: ['linear', 'attention'],
      ...methods[cell.method],
      ...compensations[cell.compensation],
      output,
    });
    for await (const _event of events);
    return { top1: await top1(evaluateImages, output) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runAll() {
  const library = await import('../dist/index.js');
  mkdirSync(values.cache, { recursive: true });
  const save = (id, result) => writeFileSync(fileOf(id), `${JSON.stringify(result)}\n`);
  if (!find('float')) {
    const model = path.join(values.shared, 'models/vit-cifar');
    save('float', { top1: await top1(library.evaluateImages, model) });
  }
  const wanted = values.only.map((pattern) => new RegExp(pattern));
  const chosen = [...cells()].filter(({ id }) => wanted.some((pattern) => pattern.test(id)));
  for (const cell of chosen.filter(({ id }) => !find(id))) {
    const result = await measure(library, cell);
    save(cell.id, result);
    console.log(`${cell.id}: ${result.top1.toFixed(2)}`);
  }
}

/** Mean and standard deviation over the seeds that are there. */
function summary(samples, precision, method, compensation) {
  const found = seeds
    .map((seed) => find(`${samples}/${precision}/${method}/${compensation}/${seed}`)?.top1)
    .filter((value) => value !== undefined);
  if (found.length === 0) return '';
  const mean = found.reduce((sum, value) => sum + value, 0) / found.length;
  if (found.length === 1) return mean.toFixed(2);
  const squares = found.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return `${mean.toFixed(2)} ± ${Math.sqrt(squares / (found.length - 1)).toFixed(2)}`;
}

/** A table for each precision: a row for each compensation, a column for each method and number of images; none that is empty. */
function tables() {
  const float = find('float');
  const lines = [`Float: ${float === undefined ? 'not measured' : float.top1.toFixed(2)}.`];
  for (const precision of precisions) {
    const columns = Object.keys(methods).flatMap((method) =>
      sampleCounts.map((samples) => ({
        title: `${method}, ${samples}`,
        figures: Object.keys(compensations).map((compensation) =>
          summary(samples, precision, method, compensation),
        ),
      })),
    );
    const there = columns.filter(({ figures }) => figures.some(Boolean));
    if (there.length === 0) continue;
    lines.push('', `## ${precision.toUpperCase()}`, '');
    lines.push(`| biases | ${there.map(({ title }) => title).join(' | ')} |`);
    lines.push(`|---|${there.map(() => '--:|').join('')}`);
    for (const [row, name] of Object.keys(compensations).entries()) {
      if (!there.some(({ figures }) => figures[row])) continue;
      lines.push(`| ${name} | ${there.map(({ figures }) => figures[row]).join(' | ')} |`);
    }
  }
  return lines.join('\n');
}

if (!values.tables) await runAll();
const text = readFileSync(page, 'utf8');
const made = `<!-- tables -->\n${tables()}\n<!-- /tables -->`;
writeFileSync(
  page,
  text.replace(/<!-- tables -->[\s\S]*<!-- \/tables -->/, () => made),
);
