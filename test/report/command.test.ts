// `ballast report`: a file beside the result or where it was asked for, and a sentence where there is nothing to draw.

import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { ballast } from '../cli/command.js';
import { temporaryFolder } from '../places.js';
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
    `error: Expected a string for ballast of ${join(folder, 'ballast.json')} but received nothing; take the file as it was written.\n`,
  );
  const whole = await result();
  await mkdir(join(whole, 'report.html'));
  const blocked = await ballast(['report', whole]);
  expect(blocked.stderr).toContain('Failed writing the report');
  expect(await readdir(whole)).toEqual(['ballast.json', 'report.html']);
  expect([missing, damaged, blocked].map(({ code }) => code)).toEqual([1, 1, 1]);
});

it('replaces an older report in one step, behind a link too', async () => {
  const folder = await result();
  const kept = join(await temporaryFolder(), 'kept.html');
  await writeFile(kept, 'older', { mode: 0o600 });
  await symlink(kept, join(folder, 'report.html'));
  expect((await ballast(['report', folder])).code).toBe(0);
  expect(await readFile(kept, 'utf8')).toContain('<h1>opt-7m at 3 bits</h1>');
  expect(await readdir(dirname(kept))).toEqual(['kept.html']);
  // Who could not read the older one cannot read this one.
  expect((await stat(kept)).mode & 0o777).toBe(0o600);
});

it('writes into a pipe, which nothing may be put in the place of', async () => {
  const folder = await result();
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const [{ code }, page] = await Promise.all([
    ballast(['report', folder, '-o', pipe]),
    readFile(pipe, 'utf8'),
  ]);
  expect(code).toBe(0);
  expect(page).toContain('<h1>opt-7m at 3 bits</h1>');
});
