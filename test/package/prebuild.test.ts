// The package as users get it: packed with a prebuild, unpacked beside its dependencies and nothing else, imported by a
// process whose PATH holds no compiler. The addon needs libc alone and exports Node's entry points alone.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const repository = path.resolve(import.meta.dirname, '../..');
const prebuilds = `prebuilds/${process.platform}-${process.arch}`;
const lacksReadelf = spawnSync('readelf', ['--version']).error !== undefined;

function run(command: string, args: string[], cwd: string, env = process.env): string {
  return execFileSync(command, args, {
    cwd,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

describe('the packed package', () => {
  let project: string;
  let installed: string;
  let addon: string;

  beforeAll(() => {
    project = mkdtempSync(path.join(tmpdir(), 'ballast-package-'));
    run(process.execPath, ['scripts/prebuild.mjs'], repository);
    run('npm', ['pack', '--ignore-scripts', '--pack-destination', project], repository);
    const [archive] = readdirSync(project);
    run('tar', ['-xzf', archive!], project);

    // node_modules holds the package and links to its dependencies: what `npm install` of the archive would make.
    const modules = path.join(project, 'node_modules');
    mkdirSync(modules);
    for (const name of readdirSync(path.join(repository, 'node_modules'))) {
      symlinkSync(path.join(repository, 'node_modules', name), path.join(modules, name));
    }
    installed = path.join(modules, 'ballast');
    renameSync(path.join(project, 'package'), installed);
    addon = path.join(
      installed,
      prebuilds,
      readdirSync(path.join(installed, prebuilds)).find((name) => name.endsWith('.node'))!,
    );
  });
  afterAll(() => rmSync(project, { recursive: true, force: true }));

  it('holds what users need and no sources of the library', () => {
    expect(readdirSync(installed).sort()).toEqual(
      expect.arrayContaining([
        'CMakeLists.txt',
        'LICENSE',
        'README.md',
        'dist',
        'docs',
        'native',
        'package.json',
        'prebuilds',
      ]),
    );
    for (const name of ['lib', 'test', 'build', 'node_modules']) {
      expect(existsSync(path.join(installed, name)), name).toBe(false);
    }
  });

  it('imports with an empty PATH and loads its addon', () => {
    const program =
      "import { listDevices, quantize } from 'ballast'; console.log(typeof quantize, listDevices()[0].name);";
    const output = run(process.execPath, ['--input-type=module', '-e', program], project, {
      PATH: '',
    });
    expect(output).toBe('function cpu\n');
  });

  it('serves its command with an empty PATH', () => {
    const main = path.join(installed, 'dist/cli/main.js');
    const report: unknown = JSON.parse(
      run(process.execPath, [main, 'devices', '--json'], project, { PATH: '' }),
    );
    expect(JSON.stringify(report)).toContain('"cpu"');
  });

  it.skipIf(lacksReadelf)('needs libc alone at run time', () => {
    const needed = [...run('readelf', ['-d', addon], project).matchAll(/NEEDED.*\[(.+?)\]/g)].map(
      (match) => match[1],
    );
    expect(needed).toContain('libc.so.6');
    const libc = /^(libc|libm|libpthread|libdl|librt)\.so\.\d+$|^ld-linux.*\.so\.\d+$/;
    expect(needed.filter((name) => !libc.test(name!))).toEqual([]);
  });

  it.skipIf(lacksReadelf)('exports Node’s entry points alone', () => {
    const table = run('readelf', ['--dyn-syms', '--wide', addon], project);
    const exported = table
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , , binding, , section]) => binding !== 'LOCAL' && /^\d+$/.test(section ?? ''))
      .map((columns) => columns.at(-1));
    expect(exported.filter((name) => !/^(napi|node_api)_/.test(name!))).toEqual([]);
    expect(exported).not.toEqual([]);
  });
});
