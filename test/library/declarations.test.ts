// The types of the package, as they are published, compile in a strict project that checks libraries and has none of Node's.

import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const repository = join(import.meta.dirname, '../..');

it('compile in strict projects, without those of Node', () => {
  const program = `
    import { quantize, type RunReport } from 'ballast';
    export async function run(): Promise<RunReport | undefined> {
      const events = quantize('model', { output: 'out', calibration: 'text.txt', bits: 4 });
      for await (const event of events) if (event.type === 'done') return event.report;
      return undefined;
    }`;
  const compilerOptions = {
    ...{ strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true },
    ...{ module: 'nodenext', target: 'es2022', types: [] },
  };
  // Inside the package, so that it can import itself by its name.
  const project = join(repository, 'build/declarations');
  mkdirSync(project, { recursive: true });
  writeFileSync(join(project, 'main.mts'), program);
  const config = { compilerOptions, include: ['main.mts'] };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(config));
  const compiler = join(repository, 'node_modules/.bin/tsc');
  const { status, stdout } = spawnSync(compiler, ['-p', project], { encoding: 'utf8' });
  expect([status, stdout]).toEqual([0, '']);
});
