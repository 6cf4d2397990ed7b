// How many threads there are unless told: affinity, control groups of both versions, BALLAST_THREADS.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile, compiler, isMissing, root } from './compile.js';

describe.skipIf(isMissing(compiler))('the quota of control groups', () => {
  let folder = '';
  let program = '';
  let count = 0;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ballast-processors-'));
    program = compile(folder, ['test/native/processors.cc', 'native/core/processors.cc']);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Of a process of these groups, where these files lie under /sys/fs/cgroup. */
  function quotaOf(groups: string, files: Readonly<Record<string, string>>): string {
    const system = join(folder, String(count++));
    const write = (path: string, text: string) => {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    };
    write(join(system, 'proc/self/cgroup'), groups);
    for (const [path, text] of Object.entries(files)) {
      write(join(system, 'sys/fs/cgroup', path), text);
    }
    return execFileSync(program, [system], { encoding: 'utf8' }).trim();
  }

  it.each<[string, string, string, Record<string, string>]>([
    ['no group', 'inf', '', {}],
    ['version 2 without a limit', 'inf', '0::/\n', { 'cpu.max': 'max 100000\n' }],
    ['version 2', '4', '0::/\n', { 'cpu.max': '400000 100000\n' }],
    ['half a processor', '0.5', '0::/\n', { 'cpu.max': '5000 10000\n' }],
    [
      'the least of the groups around a process',
      '1.5',
      '0::/a/b/c\n',
      {
        'cpu.max': 'max 100000\n',
        'a/cpu.max': '150000 100000\n',
        'a/b/cpu.max': 'max 100000\n',
        'a/b/c/cpu.max': '300000 100000\n',
      },
    ],
    [
      'version 1, controllers together',
      '2.5',
      '5:memory:/x\n4:cpu,cpuacct:/x\n',
      { 'cpu,cpuacct/x/cpu.cfs_quota_us': '250000\n', 'cpu,cpuacct/x/cpu.cfs_period_us': '100000' },
    ],
    [
      'version 1 under the path of the host',
      '3',
      '2:cpuacct:/docker/1\n1:cpu:/docker/1\n0::/\n',
      { 'cpu/cpu.cfs_quota_us': '300000\n', 'cpu/cpu.cfs_period_us': '100000\n' },
    ],
    [
      'version 1 without a limit',
      'inf',
      '1:cpu:/\n',
      { 'cpu/cpu.cfs_quota_us': '-1\n', 'cpu/cpu.cfs_period_us': '100000\n' },
    ],
    ['lines that are none', 'inf', 'cpu\n1:cpu\n::\n', {}],
  ])('%s: %s', (_, expected, groups, files) => {
    expect(quotaOf(groups, files)).toBe(expected);
  });
});

describe('threads of the CPU', () => {
  const list = "import { listDevices } from 'ballast'; console.log(listDevices()[0].description);";
  const describeCpu = (command: string[], threads?: string) => {
    const { BALLAST_THREADS: _, ...env } = process.env;
    const [file = '', ...args] = [...command, process.execPath, '--input-type=module', '-e', list];
    const set = threads === undefined ? env : { ...env, BALLAST_THREADS: threads };
    return execFileSync(file, args, { cwd: root, env: set, encoding: 'utf8' });
  };

  it.skipIf(process.platform !== 'linux' || isMissing('taskset'))('follow the affinity', () => {
    const allowed = execFileSync('grep', ['Cpus_allowed_list', '/proc/self/status']).toString();
    const first = /\d+/.exec(allowed)?.[0] ?? '';
    expect(describeCpu(['taskset', '-c', first])).toMatch(/, 1 thread$/m);
    expect(describeCpu(['taskset', '-c', first], '3')).toMatch(/, 3 threads$/m);
  });

  it.each(['none', '0', '-3', '99999'])('are refused where BALLAST_THREADS is %s', (threads) => {
    const told = `from 1 to 1024 for BALLAST_THREADS but received '${threads}`;
    expect(() => describeCpu([], threads)).toThrow(told);
  });
});
