// Where tests find what they read, and leave what they write: the bundled model and texts, what is built, and the trained
// models, texts and golden figures in a folder `shared` beside the checkout, where there is one.

import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const at = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** The bundled model: OPT, 4 blocks, width 128. */
export const exampleModel = at('examples/model');
export const exampleCalibrationText = at('examples/data/demo-calibration.txt');
/** Its beginning, some 6,000 tokens: what is tokenized in most runs of the tests. */
export const exampleText = at('test/pipeline/calibration.txt');
export const exampleTestText = at('examples/data/demo-test.txt');
/** Its beginning, which tokenizers of bytes make thousands of tokens of. */
export const shortTestText = at('test/pipeline/evaluation.txt');

/** What child processes run and import. */
export const builtCommand = at('dist/cli/main.js');
export const builtLibrary = at('dist/index.js');

export const sharedModel = (name: string) => at(`../shared/models/${name}`);
export const sharedText = (name: string) => at(`../shared/data/${name}.txt`);
export const sharedGolden = (name: string) => at(`../shared/golden/${name}`);
export const hasShared = existsSync(sharedModel('opt-7m'));

/** A folder that is gone when the test is over. */
export async function temporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ballast-test-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}
