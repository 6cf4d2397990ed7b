// `ballast report`: a file beside the result or where it was asked for, and a sentence where there is nothing to draw.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ballast, temporaryFolder } from '../cli/command.js';
import { evaluation, report } from './fixture.js';

async function result(): Promise<string> {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'ballast.json'), JSON.stringify(report()));
  return folder;
}

it('writes report.html into the result', async () => {
  const folder = await result();
  const { code, stdout } = await ballast(['report', folder]);
  expect([code, stdout]).toEqual([0, `${join(folder, 'report.html')}\n`]);
  const page = await readFile(join(folder, 'report.html'), 'utf8');
  expect(page).toContain('<h1>opt-7m at 3 bits</h1>');
  expect(page).not.toContain('Perplexity');
});

it('shows evaluations in the order they were given', async () => {
  const folder = await result();
  const files = [join(folder, 'float.json'), join(folder, 'quantized.json')] as const;
  await writeFile(files[0], JSON.stringify(evaluation('opt-7m', 1)));
  await writeFile(files[1], JSON.stringify(evaluation('opt-7m-3bit', 1.02)));
  const output = join(folder, 'there.html');
  const { code, stdout } = await ballast([
    ...['report', folder, '-o', output, '--json'],
    ...files.flatMap((file) => ['--evaluation', file]),
  ]);
  expect([code, JSON.parse(stdout)]).toEqual([0, { output }]);
  expect(await readFile(output, 'utf8')).toContain(
    '<th scope="col">opt-7m</th><th scope="col">opt-7m-3bit</th>',
  );
});

it('fails with a sentence where there is no result, a damaged one, or no place to write', async () => {
  const folder = await temporaryFolder();
  const missing = await ballast(['report', folder]);
  expect(missing.stderr).toContain(`error: Expected a file ${join(folder, 'ballast.json')}`);
  await writeFile(join(folder, 'ballast.json'), '{ "layers": [] }');
  const damaged = await ballast(['report', folder]);
  expect(damaged.stderr).toBe(
    'error: Expected a string for ballast of the report but received nothing.\n',
  );
  const whole = await result();
  await mkdir(join(whole, 'report.html'));
  const blocked = await ballast(['report', whole]);
  expect(blocked.stderr).toContain('Failed writing the report');
  expect([missing, damaged, blocked].map(({ code }) => code)).toEqual([1, 1, 1]);
});
