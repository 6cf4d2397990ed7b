// Defaults that depend on other options.

import { expect, it } from 'vitest';
import { resolveOptions } from '../../lib/pipeline/options/resolve-options.js';

const resolved = (options: object) =>
  resolveOptions({ output: 'out', calibration: 'text', ...options }).options;

it('a joint fit of gptq refits scales, unless told otherwise', () => {
  expect(resolved({ method: 'gptq' }).refit).toBe('scales');
  expect(resolved({ method: 'gptq', refit: 'none' }).refit).toBe('none');
});

it.each([
  { method: 'gptq', fit: 'sequential' },
  { method: 'gptq', compensation: 'none' },
  { method: 'rtn' },
  {},
])('nothing else does: %o', (options) => {
  expect(resolved(options).refit).toBe('none');
});

it("a method's own defaults give way to what the caller says", () => {
  expect(resolved({ method: 'descent' })).toMatchObject({ clip: 'mse', damping: 0.03 });
  expect(resolved({ method: 'descent', damping: 0.1 })).toMatchObject({ damping: 0.1 });
});

it.each([
  { method: 'gptq' },
  { method: 'rtn', refit: 'scales' },
  { method: 'rtn', clip: 'mse' },
  { method: 'rtn', target: 'float' },
])('certificates of some samples are refused where moments are read: %o', (options) => {
  expect(() => resolved({ ...options, certificateSamples: 8 })).toThrow(/second moments/);
});

it('super-blocks say what their groups are, and format gguf has them where it has nothing else', () => {
  const two = { bits: 2, groupSize: 16, symmetric: false, superBlocks: true };
  expect(resolved({ bits: 2, superBlocks: true })).toMatchObject(two);
  expect(resolved({ bits: 2, format: 'gguf' })).toMatchObject({ ...two, scaleDtype: 'float32' });
  expect(resolved({ bits: 3, format: 'gguf' })).toMatchObject({ groupSize: 16, symmetric: true });
  const four = { bits: 4, format: 'gguf' };
  expect(resolved({ ...four, superBlocks: true })).toMatchObject({ groupSize: 32 });
  expect(resolved(four)).toMatchObject({ superBlocks: false, scaleDtype: 'float16' });
});

it.each([
  [{ bits: 7 }, 'Expected 2 to 6 for bits with superBlocks but received 7.'],
  [{ groupSize: 64 }, 'Expected 32 for groupSize with superBlocks of 4 bits but received 64.'],
  [
    { bits: 6, symmetric: false },
    'Expected true for symmetric with superBlocks of 6 bits but received false.',
  ],
  [
    { scaleDtype: 'float16' },
    'Expected float32 for scaleDtype with superBlocks of 4 bits but received float16.',
  ],
  [
    { method: 'gptq', actOrder: true },
    'Expected true for staticGroups with superBlocks and actOrder but received false.',
  ],
])('super-blocks are refused otherwise: %o', (options, message) => {
  expect(() => resolved({ ...options, superBlocks: true })).toThrow(message);
});
