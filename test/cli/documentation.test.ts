// Programs in README and docs compile against the package as it is published: every ```js and ```ts block that imports
// it, under the compiler's strict rules.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** Inside the package, so that it can import itself by its name. */
const folder = join(root, 'build/documentation');

function programs(): Map<string, string> {
  const found = new Map<string, string>();
  const docs = readdirSync(join(root, 'docs')).map((name) => `docs/${name}`);
  for (const page of ['README.md', ...docs.filter((name) => name.endsWith('.md'))]) {
    const text = readFileSync(join(root, page), 'utf8');
    let index = 0;
    for (const [, program = ''] of text.matchAll(/^```[jt]s\n([\s\S]*?)^```/gm)) {
      if (!program.includes("from 'ballast'")) continue;
      found.set(`${page.replace(/[/.]/g, '-')}-${++index}.ts`, program);
    }
  }
  return found;
}

it('every program in README and docs compiles', () => {
  const found = programs();
  expect([...found.keys()]).toContain('README-md-1.ts');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [name, program] of found) writeFileSync(join(folder, name), program);
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: '../../tsconfig.json', include: ['.'] }),
  );
  const compiler = join(root, 'node_modules/.bin/tsc');
  const { status, stdout } = spawnSync(compiler, ['-p', folder], { encoding: 'utf8' });
  expect(stdout).toBe('');
  expect(status).toBe(0);
});
