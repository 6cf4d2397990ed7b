// What the tests of whole runs share: a quantization driven to its end, in a folder that goes when the test does.

import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import {
  type LayerReport,
  type QuantizeOptions,
  quantize,
  type RunReport,
} from '../../lib/index.js';
import { exampleText, temporaryFolder } from '../places.js';

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
