// The floors check against a small tree of its own: each planted violation must be found, on its line and with its reason,
// and the tree without them must pass. Last, the repository itself.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const repository = path.resolve(import.meta.dirname, '../..');

function check(root: string) {
  const script = path.join(repository, 'scripts/check-floors.mjs');
  const { status, stderr } = spawnSync(process.execPath, [script, root], { encoding: 'utf8' });
  const lines = stderr.trim().split('\n');
  return { status, summary: lines.pop(), violations: lines };
}

const sound = {
  'lib/errors.ts': 'export class BallastError extends Error {}\n',
  'lib/native.ts': "import load from 'node-gyp-build';\nexport const native = load('.');\n",
  'lib/device/device.ts':
    "import { native } from '../native.js';\nexport const add = native.add;\n",
  'lib/quantizers/quantizer.ts': 'export interface Quantizer { name: string }\n',
  'lib/quantizers/registry.ts':
    "import { gptq } from './gptq.js';\nimport type { Quantizer } from './quantizer.js';\nexport const all: Quantizer[] = [gptq];\n",
  'lib/quantizers/gptq.ts':
    "import { add } from '../device/device.js';\nexport const gptq = { name: 'gptq', add };\n",
  'lib/compensation/bias.ts':
    "import type { Quantizer } from '../quantizers/quantizer.js';\nexport type B = Quantizer;\n",
  'lib/pipeline/run.ts':
    "// after any quantizer, gptq or not\nimport { all } from '../quantizers/registry.js';\nexport { all };\n",
  'native/core/error.h': '#include <string>\n',
  'native/backend/backend.h': '#include "native/core/error.h"\n',
  'native/cpu/matmul.cc': '#include "native/backend/backend.h"\n',
  'native/ops/matmul.cc': '#include "native/backend/backend.h"\n',
  'native/binding/module.cc': '#include <napi.h>\n#include "native/ops/matmul.h"\n',
};

describe('check-floors', () => {
  let root: string;

  function plant(files: Record<string, string>) {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(path.join(root, path.dirname(file)), { recursive: true });
      writeFileSync(path.join(root, file), text);
    }
  }

  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), 'ballast-floors-'));
    plant(sound);
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('passes a sound tree', () => {
    expect(check(root)).toEqual({ status: 0, summary: 'floors: kept', violations: [] });
  });

  it.each([
    [
      'an import that points up',
      'lib/device/device.ts',
      "import { all } from '../pipeline/run.js';",
      /^lib\/device\/device\.ts:1 imports up: device stands below pipeline/,
    ],
    [
      'the ground importing a floor',
      'lib/errors.ts',
      "export * from './models/opt.js';",
      /errors stands below models/,
    ],
    [
      'a value from the same floor',
      'lib/models/opt.ts',
      "\nimport { all } from '../quantizers/registry.js';",
      /^lib\/models\/opt\.ts:2 imports sideways: models and quantizers/,
    ],
    [
      'a dynamic import of the addon',
      'lib/pipeline/run.ts',
      "const n = await import('../native.js');",
      /lib\/native\.ts, which only lib\/device may/,
    ],
    [
      'the loader outside its file',
      'lib/device/load.ts',
      "import load from 'node-gyp-build';",
      /imports node-gyp-build/,
    ],
    [
      'the command line outside lib/cli',
      'lib/report/table.ts',
      "import Table from 'cli-table3';",
      /imports cli-table3/,
    ],
    [
      'an import out of lib',
      'lib/report/table.ts',
      "import x from '../../test/x.js';",
      /lies outside lib/,
    ],
    [
      "an algorithm's name in the pipeline",
      'lib/pipeline/run.ts',
      "if (method === 'gptq') {}",
      /^lib\/pipeline\/run\.ts:1 names gptq/,
    ],
    [
      "an algorithm's name in an identifier",
      'lib/evaluate/run.ts',
      'type T = GptqOptions;',
      /^lib\/evaluate\/run\.ts:1 names gptq/,
    ],
    [
      'napi.h below the binding',
      'native/core/value.h',
      '#pragma once\n#include <napi.h>',
      /^native\/core\/value\.h:2 includes napi\.h/,
    ],
    [
      'core including backend',
      'native/core/value.h',
      '#include "native/backend/backend.h"',
      /native\/core may not see native\/backend/,
    ],
    [
      'ops including a backend',
      'native/ops/x.cc',
      '#include "native/cpu/matmul.h"',
      /native\/ops may not see native\/cpu/,
    ],
    [
      'CUDA including the CPU',
      'cuda/matmul.cu',
      '#include "native/cpu/matmul.h"',
      /cuda may not see native\/cpu/,
    ],
    ['a relative include', 'native/cpu/x.cc', '#include "matmul.h"', /path from the root/],
    ['a folder without a floor', 'native/extra/x.cc', '', /lies on no floor/],
    ['a file of 401 lines', 'test/long.test.ts', '\n'.repeat(401), /has 401 lines/],
    ['a dumping ground', 'lib/utils.ts', '', /needs a name that says what it holds/],
  ])('finds %s', (_, file, text, expected) => {
    plant({ [file]: `${text}` });
    const { status, violations } = check(root);
    expect(violations).toEqual([expect.stringMatching(expected)]);
    expect(status).toBe(1);
  });

  it('finds nothing in this repository', () => {
    expect(check(repository).violations).toEqual([]);
  });
});
