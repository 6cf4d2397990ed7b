// Commands on a hub id, against a hub on this machine: fetched once, with progress, then from the cache.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startHub } from '../checkpoint/hub-server.js';
import { exampleCalibrationText, exampleModel, temporaryFolder } from '../places.js';
import { ballast, quickOptions } from './command.js';

it('a hub id is fetched with progress and quantized', async () => {
  const token = 'hf_secret';
  const names = (await readdir(exampleModel)).sort();
  const contents = await Promise.all(names.map((name) => readFile(join(exampleModel, name))));
  const files = Object.fromEntries(names.map((name, i) => [name, contents[i] ?? Buffer.alloc(0)]));
  const { endpoint, requests } = await startHub({ model: 'maker/small', files, token });
  const folder = await temporaryFolder();
  const env = { HF_ENDPOINT: endpoint, HF_HUB_CACHE: join(folder, 'cache') };
  const output = join(folder, 'result');
  const args = ['-o', output, '-c', exampleCalibrationText, '--token', token, '--json'];

  const run = await ballast(['quantize', 'maker/small', ...args, ...quickOptions], { env });
  expect(run.stderr).toMatch(/fetching maker\/small: 100 %/);
  expect(run.code).toBe(0);
  expect(JSON.parse(run.stdout).model).toBe('maker/small');
  expect(run.stdout).not.toContain(token);
  expect(await readFile(join(output, 'ballast.json'), 'utf8')).not.toContain(token);

  const fetched = requests.filter((request) => request.includes('/resolve/')).length;
  expect(fetched).toBeGreaterThan(0);
  const again = await ballast(['inspect', 'maker/small', '--token', token, '--json'], { env });
  expect(JSON.parse(again.stdout).modelType).toBe('opt');
  expect(requests.filter((request) => request.includes('/resolve/'))).toHaveLength(fetched);

  const refused = await ballast(['inspect', 'maker/small', '--json'], { env });
  expect(refused.stderr).toContain('pass a token');
  expect([refused.code, refused.stdout]).toEqual([1, '']);
});
