// What the tests of whole runs share: a quantization driven to its end, in a folder that goes when the test does, and
// the trained models and texts beside the checkout, where they are.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import {
  type LayerReport,
  type QuantizeOptions,
  quantize,
  type RunReport,
} from '../../lib/index.js';

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** The bundled model: OPT, 4 blocks, width 128. */
export const exampleModel = at('examples/model');
/** The beginning of the bundled calibration text, some 6,000 tokens: what is tokenized in every run here. */
export const exampleText = at('test/pipeline/calibration.txt');
export const exampleTestText = at('examples/data/demo-test.txt');
/** What child processes run and import. */
export const builtCommand = at('dist/cli/main.js');
export const builtLibrary = at('dist/index.js');

export const sharedModel = (name: string) => at(`../shared/models/${name}`);
export const sharedText = (name: string) => at(`../shared/data/${name}.txt`);
export const sharedGolden = (name: string) => at(`../shared/golden/${name}`);
export const hasShared = existsSync(sharedModel('opt-7m'));

/** A folder that is gone when the test is over. */
export async function temporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ballast-run-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

export interface Finished {
  readonly directory: string;
  readonly report: RunReport;
}

/** Runs to the end, on the bundled text unless told otherwise. */
export async function finish(
  model: string,
  options: Omit<QuantizeOptions, 'output' | 'calibration'> & { readonly calibration?: string },
): Promise<Finished> {
  const directory = join(await temporaryFolder(), 'result');
  const events = quantize(model, { calibration: exampleText, ...options, output: directory });
  for await (const event of events) {
    if (event.type === 'done') return { directory, report: event.report };
  }
  throw new Error('The run ended without a report.');
}

/** Hashes of every file but the report, which holds times. */
export async function filesOf({ directory }: Finished): Promise<Record<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile() && entry.name !== 'ballast.json')
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .sort();
  const hash = async (name: string) => {
    const bytes = await readFile(join(directory, name));
    return [name, createHash('sha256').update(bytes).digest('hex')] as const;
  };
  return Object.fromEntries(await Promise.all(names.map(hash)));
}

/** The layers of the first block; the run is left there. */
export async function firstBlock(
  model: string,
  options: Omit<QuantizeOptions, 'output'>,
): Promise<LayerReport[]> {
  const output = join(await temporaryFolder(), 'result');
  const layers: LayerReport[] = [];
  for await (const event of quantize(model, { ...options, output })) {
    if (event.type === 'layer') layers.push(event.layer);
    if (event.type === 'block') break;
  }
  return layers;
}

/** BALLAST_FULL=1 runs golden figures in full: every scheme, every text. */
export const full = process.env.BALLAST_FULL === '1';
/** What trained models are evaluated on. */
export const goldenTexts = full
  ? ['wikitext2-test', 'books-heldout', 'shakespeare']
  : ['wikitext2-test'];

export const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
