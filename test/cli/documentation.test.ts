// Programs in README and docs compile under the compiler's strict rules: every ```js and ```ts block that imports the package,
// against it as it is published, and the files that the pages on adding something show, as if they lay in their folder of lib/.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** Inside the package, so that it can import itself by its name. */
const folder = join(root, 'build/documentation');

const folderOf: Readonly<Record<string, string>> = {
  'docs/add-a-format.md': 'lib/export',
  'docs/add-a-model.md': 'lib/models/architectures',
  'docs/add-a-quantizer.md': 'lib/quantizers',
};

function programs(): Map<string, string> {
  const found = new Map<string, string>();
  const docs = readdirSync(join(root, 'docs')).map((name) => `docs/${name}`);
  for (const page of ['README.md', ...docs.filter((name) => name.endsWith('.md'))]) {
    const text = readFileSync(join(root, page), 'utf8');
    let index = 0;
    for (const [, program = ''] of text.matchAll(/^```[jt]s\n([\s\S]*?)^```/gm)) {
      const isFile = program.startsWith('//') && /from '\.\.?\//.test(program);
      if (!isFile && !program.includes("from 'ballast'")) continue;
      const name = `${page.replace(/[/.]/g, '-')}-${++index}.ts`;
      found.set(isFile ? join(folderOf[page] ?? '', name) : name, program);
    }
  }
  return found;
}

it('every program in README and docs compiles', () => {
  const found = programs();
  expect([...found.keys()]).toEqual(
    expect.arrayContaining([
      'README-md-1.ts',
      'lib/export/docs-add-a-format-md-1.ts',
      'lib/models/architectures/docs-add-a-model-md-1.ts',
      'lib/quantizers/docs-add-a-quantizer-md-1.ts',
    ]),
  );
  rmSync(folder, { recursive: true, force: true });
  for (const [name, program] of found) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), program);
  }
  // Imports of neighbours are looked for in both folders.
  const compilerOptions = { rootDirs: ['lib', '../../lib'] };
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: '../../tsconfig.json', compilerOptions, include: ['.'] }),
  );
  const compiler = join(root, 'node_modules/.bin/tsc');
  const { status, stdout } = spawnSync(compiler, ['-p', folder], { encoding: 'utf8' });
  expect(stdout).toBe('');
  expect(status).toBe(0);
});
