// Scripts and benches are no part of what the compiler checks, and some run on machines alone that are seldom at hand: what
// they import of the built library must be there.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const imports = /import \{([^}]*)\} from '([^']*\/dist\/[^']*)'/g;

const scripts = ['bench', 'scripts', 'examples'].flatMap((folder) =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.mjs'))
    .map((file) => path.join(folder, file)),
);
const found = scripts.flatMap((file) => {
  const text = readFileSync(path.join(root, file), 'utf8');
  return Array.from(text.matchAll(imports), ([, names = '', from = '']) => ({
    file,
    names: names.split(',').map((name) => name.trim().split(' as ')[0] ?? ''),
    from: path.resolve(root, path.dirname(file), from),
  }));
});

describe('what scripts import of the built library', () => {
  it.each(found)('$file: $names', async ({ names, from }) => {
    const module = await import(pathToFileURL(from).href);
    expect(Object.keys(module)).toEqual(expect.arrayContaining(names.filter(Boolean)));
  });

  it('is found', () => expect(found.length).toBeGreaterThan(5));
});
