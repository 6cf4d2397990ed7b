// The commands over runs and their results, as scripts use them: plan, quantize, export, verify, report, search.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { exampleCalibrationText, exampleModel, temporaryFolder } from '../places.js';
import { ballast, quickOptions } from './command.js';

async function succeeds(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await ballast(args);
  expect([code, stderr.includes('error')], stderr).toEqual([0, false]);
  return stdout;
}

const json = async (...args: string[]) => JSON.parse(await succeeds(...args, '--json'));

const calibration = ['-c', exampleCalibrationText, ...quickOptions];
const packed = ['--format', 'compressed-tensors', '--symmetric', '--group-size', '32'];

it('a plan tells of the memory and leaves nothing', async () => {
  const folder = await temporaryFolder();
  const args = ['quantize', exampleModel, '-o', join(folder, 'result'), ...calibration, '--plan'];
  const plan = await json(...args);
  const sum = plan.parts.reduce((total: number, { bytes }: { bytes: number }) => total + bytes, 0);
  expect(plan.bytes).toBe(sum);
  expect(await succeeds(...args)).toContain('hidden states');
  expect(await readdir(folder)).toEqual([]);
});

it('a result is exported, verified and reported', async () => {
  const folder = await temporaryFolder();
  const [result, plain] = [join(folder, 'result'), join(folder, 'plain')];
  const { bitsPerWeight } = await json(
    ...['quantize', exampleModel, '-o', result, ...calibration, ...packed, '--method', 'rtn'],
  );
  expect(bitsPerWeight).toBe(3 + 16 / 32);

  expect(await json('export', result, '--format', 'huggingface', '-o', plain)).toEqual({
    result: plain,
    format: 'huggingface',
    linears: 24,
  });
  for (const directory of [result, plain]) {
    const found = await json('verify', directory);
    expect(found).toMatchObject({ result: directory, linears: 24 });
    expect(found.files).toBeGreaterThan(0);
  }
  expect(await succeeds('verify', plain)).toMatch(/huggingface/);

  const page = join(folder, 'report.html');
  await succeeds('report', result, '-o', page);
  expect(await readFile(page, 'utf8')).toContain('self_attn.q_proj');
});

it('a search tells its candidates, best first, and writes the best', async () => {
  const output = join(await temporaryFolder(), 'result');
  const samples = ['--samples', '6', '--sequence-length', '64', '--bits', '2', '--method', 'rtn'];
  const { candidates, metric, report } = await json(
    ...['search', exampleModel, '-o', output, '-c', exampleCalibrationText, ...samples],
  );
  const scores: number[] = candidates.map((candidate: Record<string, number>) => candidate[metric]);
  expect(scores.length).toBeGreaterThan(8);
  expect(scores).toEqual([...scores].sort((a, b) => a - b));
  const { sites, compensation } = report.options;
  expect(compensation === 'none' ? [] : sites).toEqual(candidates[0].sites);
  expect(await readdir(output)).toContain('ballast.json');
});
